#include "storage/tables/former_node.h"

#include "storage/tables/db_internal.h"

int former_node_add(struct db *db, const struct former_node *former)
{
	return db_run(db,
			"INSERT OR IGNORE INTO former_place(account, grp, recording)"
			" VALUES (?, ?, ?)",
			"iii", former->account, former->group, former->recording);
}

int former_node_is_noted(struct db *db, const struct former_node *former)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT 1 FROM former_place WHERE account = ? AND grp = ?"
			" AND recording = ?",
			"iii", former->account, former->group, former->recording);

	return r < 0 ? r : db_next(db, q);
}

int former_node_each(struct db *db, int (*visit)(void *context, const struct former_node *former),
		void *context)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT account, grp, recording FROM former_place"
			" ORDER BY account, grp, recording",
			"");

	while (r == 0 && (r = db_next(db, q)) > 0) {
		const struct former_node former = {sqlite3_column_int64(q, 0),
				sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2)};
		r = visit(context, &former);
	}
	return r;
}

static int leave_former(void *context, const struct former_node *former)
{
	return catalog_group_leave(context, former->group);
}

int former_node_finish(struct db *db)
{
	int r = former_node_each(db, leave_former, db);

	return r < 0 ? r : db_run(db, "DELETE FROM former_place", "");
}
