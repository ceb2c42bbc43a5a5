/* Recordings of one account, backwards from a given one: for what a file in a spool follows. */
#include "storage/tables/catalog.h"

#include <errno.h>

#include "base/cleanup.h"
#include "storage/tables/db_internal.h"

static int ulid_before(
		struct db *db, int64_t account, int64_t id, uint8_t ret_ulid[static ULID_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT ulid FROM recording_now WHERE account = ?1 AND id < ?2 AND id >="
			" coalesce((SELECT id FROM recording WHERE account = ?1 AND id < ?2"
			" ORDER BY id DESC LIMIT 1 OFFSET ?3), 0)"
			" AND destroyed_us = 0 AND genuine ORDER BY id DESC LIMIT 1",
			"iii", account, id, (int64_t)RECORDING_LOOK_BACK - 1);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return db_column_exact(q, 0, ret_ulid, ULID_BYTES);
}

int catalog_recording_before(
		struct db *db, int64_t account, int64_t id, struct recording_row *ret_row)
{
	uint8_t ulid[ULID_BYTES];
	int r = ulid_before(db, account, id, ulid);

	return r < 0 ? r : catalog_recording_by_ulid(db, ulid, ret_row);
}
