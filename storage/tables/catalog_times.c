#include "storage/tables/catalog_times.h"

#include <errno.h>

#include "storage/tables/db_internal.h"

_Static_assert(SEALED_CLOCK_UNKNOWN == 1, "as the index and the statements say");
/* Buckets that no date has: of groups to be given a new due time, and of closed ones. */
#define MARKED "-4611686018427387904"
#define CLOSED "-4611686018427387905"

static int times_row(struct db *db, sqlite3_stmt *q, struct recording_row *ret_row)
{
	uint8_t ulid[ULID_BYTES];
	int r = db_next(db, q);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	r = db_column_exact(q, 0, ulid, sizeof(ulid));
	return r < 0 ? r : catalog_recording_by_ulid(db, ulid, ret_row);
}

int catalog_times_next_unknown(
		struct db *db, int64_t group, int64_t after_id, struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = group ? db_start(db, &q,
					"SELECT ulid FROM recording_read WHERE grp = ?"
					" AND sealed_clock = 1 AND destroyed_us = 0"
					" AND id > ? AND genuine ORDER BY id LIMIT 1",
					"ii", group, after_id)
		      : db_start(db, &q,
					"SELECT ulid FROM recording_read WHERE"
					" sealed_clock = 1 AND destroyed_us = 0"
					" AND id > ? AND genuine ORDER BY id LIMIT 1",
					"i", after_id);

	return r < 0 ? r : times_row(db, q, ret_row);
}

int catalog_times_before(struct db *db, int64_t before_id, struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT ulid FROM recording_read WHERE id < ? AND destroyed_us = 0"
			" AND genuine ORDER BY id DESC LIMIT 1",
			"i", before_id);

	return r < 0 ? r : times_row(db, q, ret_row);
}

int catalog_times_newest(struct db *db, int64_t *ret_id)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT coalesce(max(id), 0) FROM recording", "");

	if (r == 0)
		r = db_next(db, q);
	if (r < 0)
		return r;
	*ret_id = sqlite3_column_int64(q, 0);
	return 0;
}

int catalog_times_set(struct db *db, const struct recording_row *row)
{
	int r = db_run(db,
			"UPDATE recording SET recorded_us = ?, sealed_us = ?, expires_us = ?,"
			" sealed_clock = ? WHERE id = ?",
			"iiiii", row->recorded_us, row->sealed_us, row->expires_us,
			(int64_t)row->sealed_clock, row->id);

	return r < 0 ? r
		     : db_run(db,
				       "UPDATE expiry_group SET bucket = " MARKED " WHERE id IN"
				       " (SELECT id FROM expiry_group_read WHERE id = ? AND"
				       " genuine)",
				       "i", row->group);
}

/* Nobody knows when a member is due whose row was altered: its group is not due any earlier. */
int catalog_times_settle_groups(struct db *db)
{
	return db_run(db,
			"UPDATE expiry_group SET bucket = " CLOSED ", due_us = max("
			"coalesce((SELECT max(r.expires_us) FROM recording_read r"
			" WHERE r.grp = expiry_group.id AND r.destroyed_us = 0 AND r.genuine),"
			" due_us),"
			" CASE WHEN EXISTS (SELECT 1 FROM recording_read r"
			" WHERE r.grp = expiry_group.id AND r.destroyed_us = 0 AND NOT r.genuine)"
			" THEN due_us ELSE 0 END)"
			" WHERE id IN (SELECT id FROM expiry_group_read WHERE bucket = " MARKED
			" AND genuine)",
			"");
}
