/* How many recordings are in which state. The table repeats what the recordings say, so that none
 * of them need be read. Where it was altered, readers count the recordings until catalog_mend.c
 * has put it right. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

/* -RE_ALTERED when a row is not genuine. */
static int read_tally(struct db *db, int64_t account, struct tally *ret_tally)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct tally tally = {0};
	int r = db_start(db, &q,
			"SELECT state, count, plain_bytes, genuine FROM tally_read"
			" WHERE account = ?",
			"i", account);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		int64_t state = sqlite3_column_int64(q, 0);
		if (!sqlite3_column_int(q, 3))
			return -RE_ALTERED;
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

/* By what the recordings say. */
static int count_recordings(struct db *db, int64_t account, struct tally *ret_tally)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct tally tally = {0};
	int r = db_start(db, &q,
			account ? "SELECT state, count(*), sum(plain_bytes) FROM recording_now"
				  " WHERE account = ? AND genuine GROUP BY state"
				: "SELECT state, count(*), sum(plain_bytes) FROM recording_now"
				  " WHERE account <> ? AND genuine GROUP BY state",
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

int catalog_tally_get(struct db *db, int64_t account, struct tally *ret_tally)
{
	int r = read_tally(db, account, ret_tally);

	return r == -RE_ALTERED ? count_recordings(db, account, ret_tally) : r;
}

struct share catalog_tally_live(const struct tally *tally)
{
	struct share live = {0};

	for (int state = RECORDING_SEALED; state <= RECORDING_PENDING; state++) {
		live.count += tally->count[state];
		live.plain_bytes += tally->plain_bytes[state];
	}
	return live;
}

int catalog_tally_add(struct db *db, int64_t account, enum recording_state state, int64_t count,
		int64_t plain_bytes)
{
	return db_run(db,
			"INSERT INTO tally(account, state, count, plain_bytes) VALUES (?, ?, ?, ?)"
			" ON CONFLICT (account, state) DO UPDATE SET count = count +"
			" excluded.count, plain_bytes = plain_bytes + excluded.plain_bytes",
			"iiii", account, (int64_t)state, count, plain_bytes);
}

int catalog_tally_move(struct db *db, int64_t account, enum recording_state from,
		enum recording_state to, const struct share *share)
{
	if (share->count == 0)
		return 0;
	int r = catalog_tally_add(db, account, from, -share->count, -share->plain_bytes);
	return r < 0 ? r : catalog_tally_add(db, account, to, share->count, share->plain_bytes);
}

/* The scope's part of its account's tally, of the states that are not pending yet. */
static int tally_of_scope(
		struct db *db, enum recording_scope scope, int64_t id, struct tally *ret_tally)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct tally tally = {0};
	int r = db_start(db, &q,
			scope == RECORDINGS_OF_GROUP
					? "SELECT state, plain_bytes FROM recording_now"
					  " WHERE grp = ? AND state < 4 AND genuine"
					: "SELECT state, plain_bytes FROM recording_now"
					  " WHERE id = ? AND state < 4 AND genuine",
			"i", id);

	while (r == 0 && (r = db_next(db, q)) > 0) {
		int64_t state = sqlite3_column_int64(q, 0);
		if (state < RECORDING_SEALED)
			return -RE_CORRUPT;
		tally.count[state]++;
		tally.plain_bytes[state] += sqlite3_column_int64(q, 1);
		r = 0;
	}
	if (r == 0)
		*ret_tally = tally;
	return r;
}
_Static_assert(RECORDING_PENDING == 4, "as the statements and recording_now say");

int catalog_tally_make_pending(struct db *db, enum recording_scope scope, int64_t account,
		int64_t id, struct share *ret_share)
{
	struct share sum = {0};
	struct tally tally;
	int r = scope == RECORDINGS_OF_ACCOUNT ? catalog_tally_get(db, id, &tally)
					       : tally_of_scope(db, scope, id, &tally);

	for (int state = RECORDING_SEALED; state < RECORDING_PENDING && r == 0; state++) {
		struct share share = {tally.count[state], tally.plain_bytes[state]};
		const int64_t accounts[] = {account, 0};
		sum.count += share.count;
		sum.plain_bytes += share.plain_bytes;
		for (size_t i = 0; i < ELEMENTSOF(accounts) && r == 0; i++)
			r = catalog_tally_move(db, accounts[i], (enum recording_state)state,
					RECORDING_PENDING, &share);
	}
	if (r == 0)
		*ret_share = sum;
	return r;
}
