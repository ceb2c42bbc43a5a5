/* How many recordings are in which state. Additions are counted by a trigger (schema.h); moves,
 * which may be of a million at once, here. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

int catalog_tally_get(struct db *db, int64_t account, struct tally *ret_tally)
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
					  " WHERE grp = ? AND state < 4"
					: "SELECT state, plain_bytes FROM recording_now"
					  " WHERE id = ? AND state < 4",
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
