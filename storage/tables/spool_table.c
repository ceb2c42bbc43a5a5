#include "storage/tables/spool_table.h"

#include "storage/tables/db_internal.h"

int spool_table_get(struct db *db, const char *name,
		const uint8_t folder[static SPOOL_FOLDER_BYTES], enum spool_state *ret_state)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT state FROM spool_read WHERE name = ? AND folder = ? AND genuine",
			"tb", name, folder, (size_t)SPOOL_FOLDER_BYTES);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r;
	*ret_state = (enum spool_state)sqlite3_column_int(q, 0);
	return 1;
}

/* A spool in memory is another folder after each boot: the oldest are forgotten. */
static int spool_forget_oldest(struct db *db, const char *name)
{
	return db_run(db,
			"DELETE FROM spool WHERE name = ?1 AND folder IN"
			" (SELECT folder FROM spool_read WHERE name = ?1 AND genuine"
			" ORDER BY since_us DESC, folder LIMIT -1 OFFSET ?2)",
			"ti", name, (int64_t)SPOOL_FOLDERS_MAX);
}

int spool_table_put(struct db *db, const struct spool_row *row)
{
	int r = db_run(db,
			"INSERT INTO spool(name, folder, state, since_us, uid, files)"
			" VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name, folder) DO UPDATE SET"
			" state = excluded.state, since_us = excluded.since_us,"
			" uid = excluded.uid, files = excluded.files",
			"tbiiii", row->name, row->folder, (size_t)SPOOL_FOLDER_BYTES,
			(int64_t)row->state, row->since_us, (int64_t)row->uid, row->files);

	return r < 0 ? r : spool_forget_oldest(db, row->name);
}
