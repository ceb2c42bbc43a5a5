/* Expiry groups: which recordings of an account are erased together when their time is over.
 *
 *   1. A group's due time is the latest of its members', and only grows, except when times
 *      are put right (catalog_times.h).
 *   2. A group that is noted for erasure, or whose account is being buried, takes no new member and
 *      does not fall due again (STANDS).
 *   3. A group from before a copy of the root was given up takes no new member either (group_floor:
 *      mirror_table_close_groups()).
 *   4. members counts those that were not erased or moved by themselves. A group without members
 *      stays until it falls due. */
#include <errno.h>

#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

/* No member is held. */
_Static_assert(RECORDING_HELD == 3, "as the index and the statements say");
#define FREE                                                                                       \
	" NOT EXISTS (SELECT 1 FROM recording h"                                                   \
	" WHERE h.state = 3 AND h.account = g.account AND h.grp = g.id)"

/* Neither itself about to be erased, nor what is left of an erased account. */
_Static_assert(ERASE_ACCOUNT == 1 && ERASE_GROUP == 2, "as the statements say");
#define STANDS                                                                                     \
	" NOT EXISTS (SELECT 1 FROM erasure_read e"                                                \
	" WHERE e.kind = 2 AND e.account = g.account AND e.grp = g.id AND e.genuine)"              \
	" AND NOT EXISTS (SELECT 1 FROM burial_read b"                                             \
	" WHERE b.kind = 1 AND b.id = g.account AND b.genuine)"

/* Its members are as they were written, and none is due after it. A group is never due before its
 * members; one that is was put back as it was before the last of them came. While the time is not
 * known, a group is due on the vault's own count, and a month is 28 days or more. */
_Static_assert(SEALED_CLOCK_UNKNOWN == 1, "as the statement says");
#define COMPLETE                                                                                   \
	" NOT EXISTS (SELECT 1 FROM recording_read r WHERE r.grp = g.id AND r.destroyed_us = 0"    \
	" AND (NOT r.genuine OR g.due_us < CASE r.sealed_clock WHEN 1"                             \
	" THEN r.counted_us + r.keep_us + r.keep_months * 2419200000000 ELSE r.expires_us END))"

/* The newest group of this bucket that has room. */
static int find_open_group(struct db *db, int64_t account, int64_t bucket, int64_t *ret_group)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT id FROM expiry_group_read g WHERE account = ? AND bucket = ?"
			" AND members < ? AND id > coalesce((SELECT group_floor FROM"
			" mirror_note_read WHERE genuine), 0)"
			" AND" STANDS " AND genuine ORDER BY id DESC LIMIT 1",
			"iii", account, bucket, (int64_t)GROUP_MEMBERS_MAX);

	if (r == 0)
		r = db_next(db, q);
	if (r > 0)
		*ret_group = sqlite3_column_int64(q, 0);
	return r;
}

int catalog_group_for(struct db *db, int64_t account, int64_t bucket, int64_t expires_us,
		int64_t *ret_group, bool *ret_created)
{
	int64_t group = 0;
	int found = find_open_group(db, account, bucket, &group);

	if (found < 0)
		return found;
	int r = found ? db_run(db,
					"UPDATE expiry_group SET members = members + 1, due_us = "
					"max(due_us, ?)"
					" WHERE id = ?",
					"ii", expires_us, group)
		      : db_run(db,
					"INSERT INTO expiry_group(account, bucket, due_us, members)"
					" VALUES (?, ?, ?, 1)",
					"iii", account, bucket, expires_us);
	if (r < 0)
		return r;
	*ret_group = found ? group : db_last_id(db);
	*ret_created = !found;
	return 0;
}

int catalog_group_leave(struct db *db, int64_t group)
{
	return db_run(db, "UPDATE expiry_group SET members = members - 1 WHERE id = ?", "i", group);
}

int catalog_group_drop(struct db *db, int64_t group)
{
	int r = db_run(db, "DELETE FROM expiry_group WHERE id = ?", "i", group);

	return r < 0 ? r : db_changes(db) == 0;
}

int catalog_group_exists(struct db *db, int64_t group)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM expiry_group WHERE id = ?", "i", group);

	return r < 0 ? r : db_next(db, q);
}

int catalog_group_some(
		struct db *db, int64_t account, int64_t *ret_groups, size_t max, size_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	size_t n = 0;
	int r = db_start(db, &q, "SELECT id FROM expiry_group WHERE account = ? LIMIT ?", "ii",
			account, (int64_t)max);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		ret_groups[n++] = sqlite3_column_int64(q, 0);
		r = 0;
	}
	if (r == 0)
		*ret_count = n;
	return r;
}

int catalog_group_due(struct db *db, int64_t now_us, struct due_group *ret_groups, size_t max,
		size_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	size_t n = 0;
	int r = db_start(db, &q,
			"SELECT id, account FROM expiry_group_read g WHERE due_us <= ? AND" STANDS
			" AND" FREE " AND genuine AND" COMPLETE " ORDER BY due_us LIMIT ?",
			"ii", now_us, (int64_t)max);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		ret_groups[n].group = sqlite3_column_int64(q, 0);
		ret_groups[n++].account = sqlite3_column_int64(q, 1);
		r = 0;
	}
	if (r == 0)
		*ret_count = n;
	return r;
}

int catalog_group_next_due(struct db *db, int64_t *ret_due_us)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT due_us FROM expiry_group_read g WHERE" STANDS " AND" FREE
			" AND genuine ORDER BY due_us LIMIT 1",
			"");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_due_us = sqlite3_column_int64(q, 0);
	return 0;
}

int catalog_group_check(struct db *db, int64_t account, int64_t group)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT genuine AND account = ?1 AND" COMPLETE
			" FROM expiry_group_read g WHERE id = ?2",
			"ii", account, group);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return sqlite3_column_int(q, 0) ? 0 : -RE_ALTERED;
}
