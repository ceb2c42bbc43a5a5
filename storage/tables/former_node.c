#include "storage/tables/former_node.h"

#include "storage/tables/db_internal.h"

int former_node_add(struct db *db, const struct former_node *place)
{
	return db_run(db,
			"INSERT OR IGNORE INTO former_place(account, grp, recording)"
			" VALUES (?, ?, ?)",
			"iii", place->account, place->group, place->recording);
}

int former_node_is_noted(struct db *db, const struct former_node *place)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT 1 FROM former_place_read WHERE account = ? AND grp = ?"
			" AND recording = ? AND genuine",
			"iii", place->account, place->group, place->recording);

	return r < 0 ? r : db_next(db, q);
}

int former_node_each(struct db *db, int (*visit)(void *context, const struct former_node *place),
		void *context)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT account, grp, recording FROM former_place_read WHERE genuine"
			" ORDER BY account, grp, recording",
			"");

	while (r == 0 && (r = db_next(db, q)) > 0) {
		const struct former_node place = {sqlite3_column_int64(q, 0),
				sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2)};
		r = visit(context, &place);
	}
	return r;
}

static int leave_former(void *context, const struct former_node *place)
{
	return catalog_group_leave(context, place->group);
}

int former_node_finish(struct db *db)
{
	int r = former_node_each(db, leave_former, db);

	return r < 0 ? r : db_run(db, "DELETE FROM former_place", "");
}
