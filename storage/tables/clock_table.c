#include "storage/tables/clock_table.h"

#include <errno.h>

#include "storage/tables/db_internal.h"

int clock_table_get(struct db *db, struct clock_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT counted_us, boot_us, known, ever_known, boot_id FROM clock_read"
			" WHERE genuine",
			"");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	struct clock_row row = {
			.counted_us = sqlite3_column_int64(q, 0),
			.boot_us = sqlite3_column_int64(q, 1),
			.known = sqlite3_column_int64(q, 2) != 0,
			.ever_known = sqlite3_column_int64(q, 3) != 0,
	};
	r = db_column_exact(q, 4, row.boot_id, sizeof(row.boot_id));
	if (r == 0)
		*ret_row = row;
	return r;
}

int clock_table_put(struct db *db, const struct clock_row *row)
{
	return db_run(db,
			"INSERT INTO clock(id, counted_us, boot_us, known, ever_known, boot_id)"
			" VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
			" counted_us = excluded.counted_us, boot_us = excluded.boot_us,"
			" known = excluded.known, ever_known = excluded.ever_known,"
			" boot_id = excluded.boot_id",
			"iiiib", row->counted_us, row->boot_us, (int64_t)row->known,
			(int64_t)row->ever_known, row->boot_id, sizeof(row->boot_id));
}
