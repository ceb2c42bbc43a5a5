#include "storage/tables/erasure_table.h"

#include <errno.h>

#include "base/error.h"
#include "storage/tables/burial_table.h"
#include "storage/tables/db_internal.h"

int erasure_table_note(struct db *db, const struct erasure_item *item)
{
	static const enum recording_scope scopes[] = {[ERASE_ACCOUNT] = RECORDINGS_OF_ACCOUNT,
			[ERASE_GROUP] = RECORDINGS_OF_GROUP,
			[ERASE_RECORDING] = RECORDING_ITSELF};
	const int64_t ids[] = {[ERASE_ACCOUNT] = item->account,
			[ERASE_GROUP] = item->group,
			[ERASE_RECORDING] = item->recording};
	struct share share;
	/* First: what is noted is pending. */
	int r = catalog_tally_make_pending(
			db, scopes[item->kind], item->account, ids[item->kind], &share);

	return r < 0 ? r
		     : db_run(db,
				       "INSERT INTO erasure(kind, cause, account, grp, recording, "
				       "uid, reason, count, plain_bytes)"
				       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
				       " ON CONFLICT DO UPDATE SET count = count + excluded.count,"
				       " plain_bytes = plain_bytes + excluded.plain_bytes",
				       "iiiiiitii", (int64_t)item->kind, (int64_t)item->cause,
				       item->account, item->group, item->recording,
				       (int64_t)item->uid, item->reason, share.count,
				       share.plain_bytes);
}

struct noted {
	struct erasure_item item;
	struct share share; /* what became pending by this very note */
};

static int read_noted(sqlite3_stmt *q, struct noted *ret_noted)
{
	int64_t kind = sqlite3_column_int64(q, 0), cause = sqlite3_column_int64(q, 1);

	int64_t uid = sqlite3_column_int64(q, 5);

	if (kind < ERASE_ACCOUNT || kind > ERASE_RECORDING || cause < CAUSE_SHRED ||
			cause > CAUSE_EXPIRY || uid < 0 || uid > UINT32_MAX)
		return -RE_CORRUPT;
	*ret_noted = (struct noted){
			.item = {.kind = (enum erasure_kind)kind,
					.cause = (enum erasure_cause)cause,
					.account = sqlite3_column_int64(q, 2),
					.group = sqlite3_column_int64(q, 3),
					.recording = sqlite3_column_int64(q, 4),
					.uid = (uid_t)uid,
					.reason = (const char *)sqlite3_column_text(q, 6)},
			.share = {sqlite3_column_int64(q, 7), sqlite3_column_int64(q, 8)},
	};
	return 0;
}

/* In the order of kinds: what covers others comes before them. */
static int each_noted(struct db *db, int (*visit)(void *context, const struct noted *noted),
		void *context)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct noted noted;
	int r = db_start(db, &q,
			"SELECT kind, cause, account, grp, recording, uid, reason, count, "
			"plain_bytes FROM erasure"
			" ORDER BY kind, account, grp, recording",
			"");

	while (r == 0 && (r = db_next(db, q)) > 0) {
		r = read_noted(q, &noted);
		if (r == 0)
			r = visit(context, &noted);
	}
	return r;
}

struct visitor {
	int (*visit)(void *context, const struct erasure_item *item);
	void *context;
};

static int show_item(void *context, const struct noted *noted)
{
	struct visitor *visitor = context;

	return visitor->visit(visitor->context, &noted->item);
}

int erasure_table_each(struct db *db, int (*visit)(void *context, const struct erasure_item *item),
		void *context)
{
	struct visitor visitor = {visit, context};

	return each_noted(db, show_item, &visitor);
}

int erasure_table_is_noted(struct db *db, const struct erasure_item *item)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT 1 FROM erasure WHERE kind = ? AND account = ? AND grp = ?"
			" AND recording = ?",
			"iiii", (int64_t)item->kind, item->account, item->group, item->recording);

	return r < 0 ? r : db_next(db, q);
}

int erasure_table_account_is_noted(struct db *db, int64_t account)
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
	struct share sum[RECORDING_STATES]; /* by what became of them */
};

static int finish_whole(
		struct finish *finish, const struct noted *noted, enum recording_state state)
{
	const struct erasure_item *item = &noted->item;
	bool account = item->kind == ERASE_ACCOUNT;
	int r = account ? catalog_account_bury(
					  finish->db, item->account, finish->now_us, finish->epoch)
			: catalog_group_drop(finish->db, item->group);

	if (r > 0 && noted->share.count == 0)
		return 0; /* an erasure before this one took it, with all that was in it */
	return r < 0 ? r
		     : burial_table_add(finish->db, item->kind,
				       account ? item->account : item->group, state, finish->now_us,
				       finish->epoch);
}

static int finish_recording(
		struct finish *finish, const struct erasure_item *item, enum recording_state state)
{
	int r = catalog_recording_bury(
			finish->db, item->recording, state, finish->now_us, finish->epoch);

	return r < 0 ? r : catalog_group_leave(finish->db, item->group);
}

/* Under what covers it there is nothing to do for an item, but its share goes the same way. */
static int finish_item(void *context, const struct noted *noted)
{
	struct finish *finish = context;
	const struct erasure_item *item = &noted->item;
	enum recording_state state =
			item->cause == CAUSE_EXPIRY ? RECORDING_EXPIRED : RECORDING_DESTROYED;
	int r = item->kind == ERASE_ACCOUNT
				? 0
				: burial_table_covers(finish->db, item->account,
						  item->kind == ERASE_RECORDING ? item->group : 0,
						  &state);

	/* r > 0: covered by a burial, whose state it takes. */
	if (r == 0 && item->kind != ERASE_RECORDING)
		r = finish_whole(finish, noted, state);
	else if (r == 0 && noted->share.count > 0)
		r = finish_recording(finish, item, state);
	if (r < 0)
		return r;
	finish->sum[state].count += noted->share.count;
	finish->sum[state].plain_bytes += noted->share.plain_bytes;
	return catalog_tally_move(
			finish->db, item->account, RECORDING_PENDING, state, &noted->share);
}

/* The vault's tally once, not for every item. */
static int finish_tally(struct finish *finish, struct share *ret_sum)
{
	struct share sum = {0};
	int r = 0;

	for (int state = RECORDING_DESTROYED; state < RECORDING_STATES && r == 0; state++) {
		sum.count += finish->sum[state].count;
		sum.plain_bytes += finish->sum[state].plain_bytes;
		r = catalog_tally_move(finish->db, 0, RECORDING_PENDING,
				(enum recording_state)state, &finish->sum[state]);
	}
	if (r == 0)
		*ret_sum = sum;
	return r;
}

int erasure_table_finish(struct db *db, int64_t now_us, uint64_t epoch, int64_t *ret_recordings,
		int64_t *ret_plain_bytes)
{
	struct finish finish = {.db = db, .now_us = now_us, .epoch = epoch};
	struct share sum = {0};
	int r = each_noted(db, finish_item, &finish);

	if (r == 0)
		r = finish_tally(&finish, &sum);
	if (r == 0)
		r = db_run(db, "DELETE FROM erasure", "");
	if (r < 0)
		return r;
	*ret_recordings = sum.count;
	*ret_plain_bytes = sum.plain_bytes;
	return 0;
}

int erasure_table_list_removals(
		struct db *db, uint8_t (*ret_ulids)[ULID_BYTES], size_t max, size_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	size_t n = 0;
	int r = db_start(db, &q, "SELECT ulid FROM removal ORDER BY ulid LIMIT ?", "i",
			(int64_t)max);

	while (r == 0 && (r = db_next(db, q)) > 0)
		r = db_column_exact(q, 0, ret_ulids[n++], ULID_BYTES);
	if (r == 0)
		*ret_count = n;
	return r;
}

int erasure_table_removal_done(struct db *db, const uint8_t ulid[static ULID_BYTES])
{
	return db_run(db, "DELETE FROM removal WHERE ulid = ?", "b", ulid, (size_t)ULID_BYTES);
}
