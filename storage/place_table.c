#include "storage/place_table.h"

#include "base/cleanup.h"
#include "storage/db_internal.h"

static int find(struct db *db, const uint8_t lookup[static CATALOG_LOOKUP_BYTES], int64_t *ret_id)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT recording FROM place WHERE lookup = ?", "b", lookup,
		(size_t)CATALOG_LOOKUP_BYTES);

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	*ret_id = r > 0 ? sqlite3_column_int64(q, 0) : 0;
	return 0;
}

int place_assign(struct db *db, const uint8_t lookup[static CATALOG_LOOKUP_BYTES],
	int64_t recording, int64_t *ret_before)
{
	int64_t before;
	int r = find(db, lookup, &before);

	if (r == 0)
		r = db_run(db, "INSERT OR REPLACE INTO place(lookup, recording) VALUES (?, ?)",
			"bi", lookup, (size_t)CATALOG_LOOKUP_BYTES, recording);
	if (r == 0)
		*ret_before = before;
	return r;
}
