#include "storage/erasure_table.h"

#include <errno.h>

#include "base/error.h"
#include "storage/db_internal.h"

static enum recording_scope scope_of(const struct erasure_item *item, int64_t *ret_id)
{
	switch (item->kind) {
	case ERASE_ACCOUNT:
		*ret_id = item->account;
		return RECORDINGS_OF_ACCOUNT;
	case ERASE_GROUP:
		*ret_id = item->group;
		return RECORDINGS_OF_GROUP;
	case ERASE_RECORDING:
		break;
	}
	*ret_id = item->recording;
	return RECORDING_ITSELF;
}

int erasure_note(struct db *db, const struct erasure_item *item)
{
	int64_t id;
	enum recording_scope scope = scope_of(item, &id);
	int r = db_run(db,
		"INSERT OR IGNORE INTO erasure(kind, cause, account, grp, recording) VALUES (?, ?, "
		"?, ?, ?)",
		"iiiii", (int64_t)item->kind, (int64_t)item->cause, item->account, item->group,
		item->recording);

	return r < 0 ? r : recording_mark_pending(db, scope, id);
}

static int read_item(sqlite3_stmt *q, struct erasure_item *ret_item)
{
	int64_t kind = sqlite3_column_int64(q, 0), cause = sqlite3_column_int64(q, 1);

	if (kind < ERASE_ACCOUNT || kind > ERASE_RECORDING || cause < CAUSE_SHRED ||
		cause > CAUSE_EXPIRY)
		return -RE_CORRUPT;
	*ret_item = (struct erasure_item){
		.kind = (enum erasure_kind)kind,
		.cause = (enum erasure_cause)cause,
		.account = sqlite3_column_int64(q, 2),
		.group = sqlite3_column_int64(q, 3),
		.recording = sqlite3_column_int64(q, 4),
	};
	return 0;
}

int erasure_each(
	struct db *db, int (*visit)(void *context, const struct erasure_item *item), void *context)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct erasure_item item;
	int r = db_start(db, &q,
		"SELECT kind, cause, account, grp, recording FROM erasure ORDER BY kind, account, "
		"grp, recording",
		"");

	while (r == 0 && (r = db_next(db, q)) > 0) {
		r = read_item(q, &item);
		if (r == 0)
			r = visit(context, &item);
	}
	return r;
}

int erasure_is_noted(struct db *db, const struct erasure_item *item)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
		"SELECT 1 FROM erasure WHERE kind = ? AND account = ? AND grp = ? AND recording = ?",
		"iiii", (int64_t)item->kind, item->account, item->group, item->recording);

	return r < 0 ? r : db_next(db, q);
}

int erasure_noted(struct db *db, int64_t account)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT 1 FROM erasure WHERE kind = ? AND account = ?", "ii",
		(int64_t)ERASE_ACCOUNT, account);

	return r < 0 ? r : db_next(db, q);
}

struct finish {
	struct db *db;
	int64_t now_us;
	uint64_t epoch;
	int64_t recordings, plain_bytes;
};

static int drop_group(void *context, int64_t group)
{
	struct finish *finish = context;

	return group_drop(finish->db, group);
}

/* Node rows of what was erased went with the staged tree; those below it are dropped by whoever
 * knows node ids. */
static int finish_item(void *context, const struct erasure_item *item)
{
	struct finish *finish = context;
	enum recording_state state =
		item->cause == CAUSE_EXPIRY ? RECORDING_EXPIRED : RECORDING_DESTROYED;
	int64_t id;
	enum recording_scope scope = scope_of(item, &id);
	int64_t before = finish->recordings;
	int r = recording_bury(finish->db, scope, id, state, finish->now_us, finish->epoch,
		&finish->recordings, &finish->plain_bytes);

	if (r < 0)
		return r;
	switch (item->kind) {
	case ERASE_ACCOUNT:
		r = group_each(finish->db, item->account, drop_group, finish);
		return r < 0 ? r
			     : account_bury(
				       finish->db, item->account, finish->now_us, finish->epoch);
	case ERASE_GROUP:
		return group_drop(finish->db, item->group);
	case ERASE_RECORDING:
		break;
	}
	/* Nothing buried: its group or account, erased in the same batch, took it along. */
	return finish->recordings > before ? group_leave(finish->db, item->group) : 0;
}

int erasure_finish(struct db *db, int64_t now_us, uint64_t epoch, int64_t *ret_recordings,
	int64_t *ret_plain_bytes)
{
	struct finish finish = {.db = db, .now_us = now_us, .epoch = epoch};
	int r = erasure_each(db, finish_item, &finish);

	if (r == 0)
		r = db_run(db, "DELETE FROM erasure", "");
	if (r < 0)
		return r;
	*ret_recordings = finish.recordings;
	*ret_plain_bytes = finish.plain_bytes;
	return 0;
}

int removal_list(struct db *db, uint8_t (*ret_ulids)[ULID_BYTES], size_t max, size_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	size_t n = 0;
	int r = db_start(
		db, &q, "SELECT ulid FROM removal ORDER BY ulid LIMIT ?", "i", (int64_t)max);

	while (r == 0 && (r = db_next(db, q)) > 0)
		r = db_column_exact(q, 0, ret_ulids[n++], ULID_BYTES);
	if (r == 0)
		*ret_count = n;
	return r;
}

int removal_done(struct db *db, const uint8_t ulid[static ULID_BYTES])
{
	return db_run(db, "DELETE FROM removal WHERE ulid = ?", "b", ulid, (size_t)ULID_BYTES);
}
