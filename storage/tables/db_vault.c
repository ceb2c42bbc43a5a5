/* The row that says which vault this is. */
#include "base/error.h"
#include "storage/tables/db_internal.h"

int db_vault_get(struct db *db, struct vault_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct vault_row row;
	int r = db_start(db, &q,
			"SELECT vault_id, epoch, anchor, created_us, genuine"
			" FROM vault_read",
			"");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -RE_CORRUPT;
	if (!sqlite3_column_int(q, 4))
		return -RE_ALTERED;
	row.epoch = (uint64_t)sqlite3_column_int64(q, 1);
	row.created_us = sqlite3_column_int64(q, 3);
	r = db_column_exact(q, 0, row.vault_id, sizeof(row.vault_id));
	if (r == 0)
		r = db_column_exact(q, 2, row.anchor, sizeof(row.anchor));
	if (r == 0)
		*ret_row = row;
	return r;
}

int db_vault_put(struct db *db, const struct vault_row *row)
{
	return db_run(db,
			"INSERT INTO vault(id, vault_id, epoch, anchor, created_us)"
			" VALUES (1, ?, ?, ?, ?) ON CONFLICT (id)"
			" DO UPDATE SET epoch = excluded.epoch, anchor = excluded.anchor",
			"bibi", row->vault_id, sizeof(row->vault_id), (int64_t)row->epoch,
			row->anchor, sizeof(row->anchor), row->created_us);
}
