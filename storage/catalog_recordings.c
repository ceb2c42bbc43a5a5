#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/catalog.h"
#include "storage/db_internal.h"

#define COLUMNS                                                                                    \
	"id, ulid, account, grp, state, condition, class, format, recorded_us, sealed_us, "        \
	"expires_us,"                                                                              \
	" destroyed_us, destroyed_epoch, plain_bytes, sealed_bytes, frames, channels, "            \
	"sample_rate, private"

void recording_row_clear(struct recording_row *row)
{
	free(row->private);
	memset(row, 0, sizeof(*row));
}

int recording_add(
	struct db *db, struct recording_row *row, const uint8_t source[static CATALOG_LOOKUP_BYTES])
{
	int r = db_run(db,
		"INSERT INTO recording(ulid, account, grp, state, condition, class, format, "
		"recorded_us,"
		" sealed_us, expires_us, destroyed_us, destroyed_epoch, plain_bytes, sealed_bytes, "
		"frames, channels,"
		" sample_rate, private) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, "
		"?)",
		"biiiittiiiiiiiib", row->ulid, sizeof(row->ulid), row->account, row->group,
		(int64_t)row->state, (int64_t)row->condition, row->class, row->format,
		row->recorded_us, row->sealed_us, row->expires_us, row->plain_bytes,
		row->sealed_bytes, row->frames, row->channels, row->sample_rate, row->private,
		row->private_bytes);

	if (r < 0)
		return r;
	row->id = db_last_id(db);
	r = db_run(db, "INSERT INTO source(hash, recording) VALUES (?, ?)", "bi", source,
		(size_t)CATALOG_LOOKUP_BYTES, row->id);
	return r;
}

int recording_set_private(struct db *db, int64_t id, const void *sealed, size_t bytes)
{
	return db_run(db, "UPDATE recording SET private = ? WHERE id = ?", "bi", sealed, bytes, id);
}

static int read_recording(sqlite3_stmt *q, struct recording_row *ret_row)
{
	struct recording_row row = {
		.id = sqlite3_column_int64(q, 0),
		.account = sqlite3_column_int64(q, 2),
		.group = sqlite3_column_int64(q, 3),
		.state = (enum recording_state)sqlite3_column_int64(q, 4),
		.condition = sqlite3_column_int(q, 5),
		.recorded_us = sqlite3_column_int64(q, 8),
		.sealed_us = sqlite3_column_int64(q, 9),
		.expires_us = sqlite3_column_int64(q, 10),
		.destroyed_us = sqlite3_column_int64(q, 11),
		.destroyed_epoch = (uint64_t)sqlite3_column_int64(q, 12),
		.plain_bytes = sqlite3_column_int64(q, 13),
		.sealed_bytes = sqlite3_column_int64(q, 14),
		.frames = sqlite3_column_int64(q, 15),
		.channels = sqlite3_column_int64(q, 16),
		.sample_rate = sqlite3_column_int64(q, 17),
	};
	int64_t state = sqlite3_column_int64(q, 4);
	int r = state >= RECORDING_SEALED && state < RECORDING_STATES ? 0 : -RE_CORRUPT;

	if (r == 0)
		r = db_column_exact(q, 1, row.ulid, sizeof(row.ulid));
	if (r == 0)
		r = db_column_text(q, 6, row.class, sizeof(row.class));
	if (r == 0)
		r = db_column_text(q, 7, row.format, sizeof(row.format));
	if (r == 0)
		r = db_column_copy(q, 18, &row.private, &row.private_bytes);
	if (r == 0)
		*ret_row = row;
	return r;
}

static int one(struct db *db, sqlite3_stmt *q, struct recording_row *ret_row)
{
	int r = db_next(db, q);

	return r < 0 ? r : r == 0 ? -ENOENT : read_recording(q, ret_row);
}

int recording_by_ulid(
	struct db *db, const uint8_t ulid[static ULID_BYTES], struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM recording WHERE ulid = ?", "b", ulid,
		(size_t)ULID_BYTES);

	return r < 0 ? r : one(db, q, ret_row);
}

int recording_by_source(struct db *db, const uint8_t source[static CATALOG_LOOKUP_BYTES],
	struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
		"SELECT " COLUMNS " FROM recording"
		" WHERE id = (SELECT recording FROM source WHERE hash = ?)",
		"b", source, (size_t)CATALOG_LOOKUP_BYTES);

	return r < 0 ? r : one(db, q, ret_row);
}

int recording_ulid(struct db *db, int64_t id, uint8_t ret_ulid[static ULID_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT ulid FROM recording WHERE id = ?", "i", id);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return db_column_exact(q, 0, ret_ulid, ULID_BYTES);
}

int recording_newest(struct db *db, uint8_t ret_ulid[static ULID_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT ulid FROM recording ORDER BY id DESC LIMIT 1", "");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return db_column_exact(q, 0, ret_ulid, ULID_BYTES);
}

/* Nothing matched up to last_id: moves on, unless that was the end. */
static int skip_to(struct db *db, struct recording_filter *filter, int64_t last_id)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM recording WHERE id > ? LIMIT 1", "i", last_id);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	filter->after_id = last_id;
	return -EAGAIN;
}

#define MATCHING                                                                                   \
	" AND (?3 = 0 OR state = ?3) AND recorded_us >= ?4 AND recorded_us < ?5 ORDER BY id LIMIT 1"

int recording_next(struct db *db, struct recording_filter *filter, struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int64_t until_us = filter->until_us ? filter->until_us : INT64_MAX;
	int64_t since_us = filter->since_us ? filter->since_us : INT64_MIN;
	/* One account's recordings lie together in its index; others are looked for in strides. */
	int64_t bound = filter->account ? filter->account : filter->after_id + RECORDING_STRIDE;
	int r = db_start(db, &q,
		filter->account ? "SELECT " COLUMNS
				  " FROM recording WHERE id > ?1 AND account = ?2" MATCHING
				: "SELECT " COLUMNS
				  " FROM recording WHERE id > ?1 AND id <= ?2" MATCHING,
		"iiiii", filter->after_id, bound, (int64_t)filter->state, since_us, until_us);

	if (r == 0)
		r = one(db, q, ret_row);
	if (r == 0)
		filter->after_id = ret_row->id;
	return r == -ENOENT && !filter->account ? skip_to(db, filter, bound) : r;
}

int recording_tally(struct db *db, int64_t account, struct tally *ret_tally)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct tally tally = {0};
	int r = db_start(db, &q, "SELECT state, count, plain_bytes FROM tally WHERE account = ?",
		"i", account);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		int64_t state = sqlite3_column_int64(q, 0);
		if (state < RECORDING_SEALED || state >= RECORDING_STATES)
			return -RE_CORRUPT;
		tally.count[state] = sqlite3_column_int64(q, 1);
		tally.plain_bytes[state] = sqlite3_column_int64(q, 2);
		r = 0;
	}
	if (r == 0)
		*ret_tally = tally;
	return r;
}

int recording_span(struct db *db, int64_t account, int64_t *ret_oldest_us, int64_t *ret_newest_us)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
		"SELECT min(recorded_us), max(recorded_us) FROM recording WHERE account = ? AND "
		"destroyed_us = 0",
		"i", account);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (sqlite3_column_type(q, 0) == SQLITE_NULL)
		return -ENOENT;
	*ret_oldest_us = sqlite3_column_int64(q, 0);
	*ret_newest_us = sqlite3_column_int64(q, 1);
	return 0;
}

/* The statements that work on a scope, one literal for each, so that each is prepared once. Live:
 * no tombstone yet. */
#define FOR_SCOPES(before, after)                                                                  \
	{                                                                                          \
		before "account = ?1" after, before "grp = ?1" after, before "id = ?1" after       \
	}
#define LIVE " AND destroyed_us = 0"

static int count_in(
	struct db *db, int64_t account, int64_t state, int64_t count, int64_t plain_bytes)
{
	return db_run(db,
		"INSERT INTO tally(account, state, count, plain_bytes) VALUES (?, ?, ?, ?)"
		" ON CONFLICT (account, state) DO UPDATE SET count = count + excluded.count,"
		" plain_bytes = plain_bytes + excluded.plain_bytes",
		"iiii", account, state, count, plain_bytes);
}

/* Some live recordings of one account, all of one state so far. */
struct share {
	int64_t account, state, count, plain_bytes;
};

static int move_share(struct db *db, const struct share *share, enum recording_state to)
{
	const int64_t accounts[] = {share->account, 0};
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(accounts) && r == 0; i++) {
		r = count_in(db, accounts[i], share->state, -share->count, -share->plain_bytes);
		if (r == 0)
			r = count_in(
				db, accounts[i], (int64_t)to, share->count, share->plain_bytes);
	}
	return r;
}

/* Moves the scope's live recordings in the tally; the rows are the caller's to change. A scope is
 * within one account, so there are no more shares than live states. Adds up what was moved. */
static int move_in_tally(struct db *db, enum recording_scope scope, int64_t id,
	enum recording_state to, int64_t *count, int64_t *plain_bytes)
{
	static const char *const shares_of[] = FOR_SCOPES(
		"SELECT account, state, count(*), sum(plain_bytes) FROM recording WHERE ",
		LIVE " GROUP BY account, state");
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct share shares[RECORDING_STATES];
	size_t n = 0;
	int r = db_start(db, &q, shares_of[scope], "i", id);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		if (n == ELEMENTSOF(shares))
			return -RE_CORRUPT;
		shares[n++] = (struct share){sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1),
			sqlite3_column_int64(q, 2), sqlite3_column_int64(q, 3)};
		r = 0;
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		*count += shares[i].count;
		*plain_bytes += shares[i].plain_bytes;
		r = move_share(db, &shares[i], to);
	}
	return r;
}

int recording_mark_pending(struct db *db, enum recording_scope scope, int64_t id)
{
	static const char *const mark[] =
		FOR_SCOPES("UPDATE recording SET state = ?2 WHERE ", LIVE);
	int64_t count = 0, plain_bytes = 0;
	int r = move_in_tally(db, scope, id, RECORDING_PENDING, &count, &plain_bytes);

	return r < 0 ? r : db_run(db, mark[scope], "ii", id, (int64_t)RECORDING_PENDING);
}

int recording_bury(struct db *db, enum recording_scope scope, int64_t id,
	enum recording_state state, int64_t now_us, uint64_t epoch, int64_t *count,
	int64_t *plain_bytes)
{
	static const char *const queue_objects[] = FOR_SCOPES(
		"INSERT OR IGNORE INTO removal(ulid) SELECT ulid FROM recording WHERE ", LIVE);
	static const char *const bury[] = FOR_SCOPES(
		"UPDATE recording SET state = ?2, destroyed_us = ?3, destroyed_epoch = ?4,"
		" private = NULL WHERE ",
		LIVE);
	int r = move_in_tally(db, scope, id, state, count, plain_bytes);

	if (r == 0)
		r = db_run(db, queue_objects[scope], "i", id);
	if (r == 0)
		r = db_run(db, bury[scope], "iiii", id, (int64_t)state, now_us, (int64_t)epoch);
	return r;
}
