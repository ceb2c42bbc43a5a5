#include "storage/tables/burial_table.h"

#include "base/error.h"
#include "storage/tables/db_internal.h"

_Static_assert(ERASE_ACCOUNT == 1 && ERASE_GROUP == 2 && ERASE_RECORDING == 3,
		"as recording_now and the statements here say");

int burial_table_add(struct db *db, enum erasure_kind kind, int64_t id, enum recording_state state,
		int64_t now_us, uint64_t epoch)
{
	return db_run(db,
			"INSERT OR IGNORE INTO burial(kind, id, state, destroyed_us, epoch,"
			" after_id) VALUES (?, ?, ?, ?, ?, 0)",
			"iiiii", (int64_t)kind, id, (int64_t)state, now_us, (int64_t)epoch);
}

int burial_table_covers(
		struct db *db, int64_t account, int64_t group, enum recording_state *ret_state)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	/* The group's first, as in recording_now. */
	int r = db_start(db, &q,
			"SELECT coalesce((SELECT state FROM burial_read"
			" WHERE kind = 2 AND id = ?2 AND genuine),"
			" (SELECT state FROM burial_read WHERE kind = 1 AND id = ?1 AND genuine))",
			"ii", account, group);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0 || sqlite3_column_type(q, 0) == SQLITE_NULL)
		return r < 0 ? r : 0;
	int64_t state = sqlite3_column_int64(q, 0);
	if (state != RECORDING_DESTROYED && state != RECORDING_EXPIRED)
		return -RE_CORRUPT;
	*ret_state = (enum recording_state)state;
	return 1;
}

int burial_table_next(struct db *db, struct burial *ret_burial)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT kind, id, after_id FROM burial_read WHERE genuine"
			" ORDER BY kind, id LIMIT 1",
			"");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r;
	int64_t kind = sqlite3_column_int64(q, 0);
	if (kind != ERASE_ACCOUNT && kind != ERASE_GROUP)
		return -RE_CORRUPT;
	*ret_burial = (struct burial){(enum erasure_kind)kind, sqlite3_column_int64(q, 1),
			sqlite3_column_int64(q, 2)};
	return 1;
}

/* Statements that work on an account's or a group's recordings: one literal for each, so that each
 * is prepared once. Both are in the order of ids in their indexes. */
#define FOR_BOTH(before, after)                                                                    \
	{                                                                                          \
		[ERASE_ACCOUNT] = before "account = ?1" after, [ERASE_GROUP] = before              \
							       "grp = ?1" after                    \
	}
/* One that was altered stays as it was found. */
#define IN_STRIDE " AND id > ?2 AND id <= ?3 AND destroyed_us = 0 AND genuine"

static int look_ahead(struct db *db, const struct burial *burial, int64_t max, int64_t *ret_last,
		int64_t *ret_count)
{
	static const char *const ahead[] =
			FOR_BOTH("SELECT max(id), count(*) FROM (SELECT id FROM recording WHERE ",
					" AND id > ?2 ORDER BY id LIMIT ?3)");
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, ahead[burial->kind], "iii", burial->id, burial->after_id, max);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -RE_CORRUPT;
	*ret_last = sqlite3_column_int64(q, 0);
	*ret_count = sqlite3_column_int64(q, 1);
	return 0;
}

/* Writes what the view says already: readers see no change except that the private data is gone.
 * A group's burial decides for its rows even where its account's burial reaches them first. */
static int bury_until(struct db *db, const struct burial *burial, int64_t last)
{
	static const char *const queue[] = FOR_BOTH(
			"INSERT OR IGNORE INTO removal(ulid) SELECT ulid FROM recording_read"
			" WHERE ",
			IN_STRIDE);
	static const char *const bury[] = FOR_BOTH(
			"UPDATE recording SET (state, destroyed_us, destroyed_epoch, private) ="
			" (SELECT n.state, n.destroyed_us, n.destroyed_epoch, NULL"
			" FROM recording_now n WHERE n.id = recording.id)"
			" WHERE id IN (SELECT id FROM recording_read WHERE ",
			IN_STRIDE ")");
	int r = db_run(db, queue[burial->kind], "iii", burial->id, burial->after_id, last);

	if (r == 0)
		r = db_run(db, bury[burial->kind], "iii", burial->id, burial->after_id, last);
	if (r == 0)
		r = db_run(db, "UPDATE burial SET after_id = ?3 WHERE kind = ?1 AND id = ?2", "iii",
				(int64_t)burial->kind, burial->id, last);
	return r;
}

int burial_table_stride(struct db *db, struct burial *burial, int64_t max, int64_t *ret_looked_at)
{
	int64_t last = 0, count = 0;
	int r = look_ahead(db, burial, max, &last, &count);

	if (r == 0 && count > 0)
		r = bury_until(db, burial, last);
	if (r < 0)
		return r;
	if (count > 0)
		burial->after_id = last;
	*ret_looked_at = count;
	return 0;
}

int burial_table_done(struct db *db, const struct burial *burial)
{
	return db_run(db, "DELETE FROM burial WHERE kind = ? AND id = ?", "ii",
			(int64_t)burial->kind, burial->id);
}
