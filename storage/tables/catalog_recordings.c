/* Recordings. A row is never deleted: it becomes a tombstone without its private data.
 *
 * Readers read the view recording_now (schema.h), never the table: an erasure of an account or a
 * group is true for all its recordings at once, and their rows follow later (burial_table.h). Only
 * statements about ids and sources, which no erasure changes, read the table.
 *
 * A source hash outlives its recording: a plaintext that a crash left behind, or that comes back
 * from a backup of the spool, is recognised and does not bring a shredded recording back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

#define COLUMNS                                                                                    \
	"id, ulid, account, grp, state, condition, class, format, recorded_us, sealed_us,"         \
	" expires_us, destroyed_us, destroyed_epoch, plain_bytes, sealed_bytes, frames, channels," \
	" sample_rate, private, sealed_clock, counted_us, keep_months, keep_us, keep_from,"        \
	" genuine"
#define COLUMN_GENUINE 24

void catalog_recording_clear(struct recording_row *row)
{
	free(row->private);
	memset(row, 0, sizeof(*row));
}

int catalog_recording_add(struct db *db, struct recording_row *row,
		const uint8_t source[static CATALOG_LOOKUP_BYTES])
{
	int r = db_run(db,
			"INSERT INTO recording(ulid, account, grp, state, condition, class, format,"
			" recorded_us, sealed_us, expires_us, destroyed_us, destroyed_epoch,"
			" plain_bytes, sealed_bytes, frames, channels, sample_rate, private,"
			" sealed_clock, counted_us, keep_months, keep_us, keep_from)"
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, "
			"?, ?, ?, ?)",
			"biiiittiiiiiiiibiiiii", row->ulid, sizeof(row->ulid), row->account,
			row->group, (int64_t)row->state, (int64_t)row->condition, row->class,
			row->format, row->recorded_us, row->sealed_us, row->expires_us,
			row->plain_bytes, row->sealed_bytes, row->frames, row->channels,
			row->sample_rate, row->private, row->private_bytes,
			(int64_t)row->sealed_clock, row->counted_us, row->keep.months, row->keep.us,
			(int64_t)row->keep_from);

	if (r < 0)
		return r;
	row->id = db_last_id(db);
	/* One that was altered says nothing, and would be in the way. */
	r = db_run(db,
			"DELETE FROM source WHERE hash IN"
			" (SELECT hash FROM source_read WHERE hash = ? AND NOT genuine)",
			"b", source, (size_t)CATALOG_LOOKUP_BYTES);
	if (r < 0)
		return r;
	r = db_run(db, "INSERT INTO source(hash, recording) VALUES (?, ?)", "bi", source,
			(size_t)CATALOG_LOOKUP_BYTES, row->id);
	if (r == 0)
		r = catalog_tally_add(db, row->account, row->state, 1, row->plain_bytes);
	return r < 0 ? r : catalog_tally_add(db, 0, row->state, 1, row->plain_bytes);
}

int catalog_source_release(struct db *db, const uint8_t source[static CATALOG_LOOKUP_BYTES])
{
	return db_run(db, "DELETE FROM source WHERE hash = ?", "b", source,
			(size_t)CATALOG_LOOKUP_BYTES);
}

int catalog_recording_set_private(struct db *db, int64_t id, const void *sealed, size_t bytes)
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
			.sealed_clock = (enum sealed_clock)sqlite3_column_int64(q, 19),
			.counted_us = sqlite3_column_int64(q, 20),
			.keep = {sqlite3_column_int64(q, 21), sqlite3_column_int64(q, 22)},
			.keep_from = (enum keep_from)sqlite3_column_int64(q, 23),
			.altered = !sqlite3_column_int(q, COLUMN_GENUINE),
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

static int step_any_recording(struct db *db, sqlite3_stmt *q, struct recording_row *ret_row)
{
	int r = db_next(db, q);

	return r < 0 ? r : r == 0 ? -ENOENT : read_recording(q, ret_row);
}

/* One that is to be believed. */
static int step_recording(struct db *db, sqlite3_stmt *q, struct recording_row *ret_row)
{
	int r = db_next(db, q);

	if (r > 0 && !sqlite3_column_int(q, COLUMN_GENUINE))
		return -RE_ALTERED;
	return r < 0 ? r : r == 0 ? -ENOENT : read_recording(q, ret_row);
}

int catalog_recording_by_ulid(
		struct db *db, const uint8_t ulid[static ULID_BYTES], struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM recording_now WHERE ulid = ?", "b", ulid,
			(size_t)ULID_BYTES);

	return r < 0 ? r : step_recording(db, q, ret_row);
}

int catalog_recording_by_source(struct db *db, const uint8_t source[static CATALOG_LOOKUP_BYTES],
		struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT " COLUMNS " FROM recording_now WHERE id ="
			" (SELECT recording FROM source_read WHERE hash = ? AND genuine)",
			"b", source, (size_t)CATALOG_LOOKUP_BYTES);

	return r < 0 ? r : step_recording(db, q, ret_row);
}

int catalog_recording_exists(struct db *db, const uint8_t ulid[static ULID_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM recording WHERE ulid = ?", "b", ulid,
			(size_t)ULID_BYTES);

	return r < 0 ? r : db_next(db, q);
}

int catalog_recording_ulid(struct db *db, int64_t id, uint8_t ret_ulid[static ULID_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT ulid FROM recording_read WHERE id = ? AND genuine", "i",
			id);

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return db_column_exact(q, 0, ret_ulid, ULID_BYTES);
}

int catalog_recording_newest(struct db *db, uint8_t ret_ulid[static ULID_BYTES])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT ulid FROM recording_read WHERE genuine ORDER BY id DESC LIMIT 1",
			"");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return db_column_exact(q, 0, ret_ulid, ULID_BYTES);
}

/* The last id of the stride after after_id; INT64_MAX when that reaches the end. One account's
 * recordings lie together in its index; all of them are told by their ids. */
static int stride_bound(struct db *db, const struct recording_filter *filter, int64_t *ret_end)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int64_t far = filter->after_id + RECORDING_STRIDE;
	int r = filter->account ? db_start(db, &q,
						  "SELECT id FROM recording WHERE account = ? AND"
						  " id > ? ORDER BY id LIMIT 1 OFFSET ?",
						  "iii", filter->account, filter->after_id,
						  (int64_t)RECORDING_STRIDE - 1)
				: db_start(db, &q, "SELECT ?1 FROM recording WHERE id > ?1 LIMIT 1",
						  "i", far);

	if (r == 0)
		r = db_next(db, q);
	if (r >= 0)
		*ret_end = r > 0 ? sqlite3_column_int64(q, 0) : INT64_MAX;
	return r < 0 ? r : 0;
}

/* A row that cannot be in this state, by what it says itself, is passed over without a look at
 * burials and notes: it says a live state, and there are none of them, or it says another. */
#define MAY_MATCH                                                                                  \
	" AND (?3 = 0 OR row_state = ?3 OR (?3 >= 4 AND row_state < 4 AND"                         \
	" (EXISTS (SELECT 1 FROM main.burial) OR EXISTS (SELECT 1 FROM main.erasure))))"
#define MATCHING                                                                                   \
	MAY_MATCH                                                                                  \
	" AND (?3 = 0 OR state = ?3) AND recorded_us >= ?4 AND recorded_us < ?5 ORDER BY id LIMIT 1"
_Static_assert(RECORDING_PENDING == 4 && RECORDING_HELD < 4, "live states are below that");

static int stride_next(
		struct db *db, const struct recording_filter *filter, struct recording_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int64_t until_us = filter->until_us ? filter->until_us : INT64_MAX;
	int64_t since_us = filter->since_us ? filter->since_us : INT64_MIN;
	int r = db_start(db, &q,
			filter->account ? "SELECT " COLUMNS " FROM recording_now WHERE id > ?1"
					  " AND id <= ?2 AND account = ?6" MATCHING
					: "SELECT " COLUMNS " FROM recording_now WHERE id > ?1"
					  " AND id <= ?2 AND ?6 = 0" MATCHING,
			"iiiiii", filter->after_id, filter->stride_end, (int64_t)filter->state,
			since_us, until_us, filter->account);

	return r < 0 ? r : step_any_recording(db, q, ret_row);
}

int catalog_recording_next(
		struct db *db, struct recording_filter *filter, struct recording_row *ret_row)
{
	int r = filter->stride_end ? 0 : stride_bound(db, filter, &filter->stride_end);

	if (r == 0)
		r = stride_next(db, filter, ret_row);
	if (r == 0)
		filter->after_id = ret_row->id;
	if (r != -ENOENT || filter->stride_end == INT64_MAX)
		return r;
	filter->after_id = filter->stride_end;
	filter->stride_end = 0;
	return -EAGAIN;
}

int catalog_recording_bury(struct db *db, int64_t id, enum recording_state state, int64_t now_us,
		uint64_t epoch)
{
	int r = db_run(db,
			"INSERT OR IGNORE INTO removal(ulid)"
			" SELECT ulid FROM recording_read WHERE id = ? AND destroyed_us = 0"
			" AND genuine",
			"i", id);

	return r < 0 ? r
		     : db_run(db,
				       "UPDATE recording SET state = ?2, destroyed_us = ?3,"
				       " destroyed_epoch = ?4, private = NULL"
				       " WHERE id = ?1 AND destroyed_us = 0",
				       "iiii", id, (int64_t)state, now_us, (int64_t)epoch);
}

int catalog_recording_any_held(struct db *db, enum recording_scope scope, int64_t id)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = -EINVAL;

	switch (scope) {
	case RECORDINGS_OF_ACCOUNT:
		r = db_start(db, &q,
				"SELECT 1 FROM recording WHERE state = 3 AND account = ? LIMIT 1",
				"i", id);
		break;
	case RECORDINGS_OF_GROUP:
		r = db_start(db, &q,
				"SELECT 1 FROM recording WHERE state = 3 AND grp = ?1"
				" AND account = (SELECT account FROM expiry_group WHERE id = ?1)"
				" LIMIT 1",
				"i", id);
		break;
	case RECORDING_ITSELF:
		r = db_start(db, &q, "SELECT 1 FROM recording WHERE state = 3 AND id = ?", "i", id);
		break;
	}
	return r < 0 ? r : db_next(db, q);
}
