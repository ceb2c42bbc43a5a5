/* Transactions, and the one place that decides what a failed commit means. */
#include <errno.h>

#include "base/error.h"
#include "storage/tables/db_internal.h"

static const uint64_t left_by[] = {
		[DB_ROOM_SEALING] = DB_RESERVE_BYTES,
		[DB_ROOM_ORDINARY] = DB_RESERVE_BYTES / 2,
		[DB_ROOM_ERASING] = 0,
};

static void transaction_end(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		(void)db_execute(db, "ROLLBACK");
	if (db->part.state)
		db->part.rolled_back(db->part.state);
}

int db_transaction_begin_for(struct db_transaction *transaction, struct db *db, enum db_room room)
{
	int r = db->in_doubt ? -EAGAIN : db_room_take(db, left_by[room]);

	if (r == 0)
		r = db_execute(db, "BEGIN IMMEDIATE");
	transaction->db = db;
	transaction->state = r == 0 ? DB_TRANSACTION_OPEN : DB_TRANSACTION_NONE;
	return r;
}

int db_transaction_begin(struct db_transaction *transaction, struct db *db)
{
	return db_transaction_begin_for(transaction, db, DB_ROOM_ORDINARY);
}

/* -ENOSPC: a frame did not fit. The frame that ends a transaction is its last one, so it did
 * not get there either. */
static bool commit_never_ended(int r)
{
	return r == -RE_BUSY || r == -EEXIST || r == -ENOSPC;
}

int db_transaction_commit(struct db_transaction *transaction)
{
	struct db *db = transaction->db;

	/* SQLite ends a transaction by itself after some errors (a full disk, no memory). */
	if (sqlite3_get_autocommit(db->handle)) {
		transaction_end(db);
		transaction->state = DB_TRANSACTION_ROLLED_BACK;
		return -EIO;
	}
	int r = db->part.state ? db->part.before_commit(db) : 0;
	if (r < 0) {
		transaction_end(db);
		transaction->state = DB_TRANSACTION_ROLLED_BACK;
		return r;
	}
	r = db_execute(db, "COMMIT");
	if (r == 0) {
		if (db->part.state)
			db->part.committed(db->part.state);
		transaction->state = DB_TRANSACTION_COMMITTED;
		return 0;
	}
	transaction_end(db);
	if (commit_never_ended(r)) {
		transaction->state = DB_TRANSACTION_ROLLED_BACK;
		return r;
	}
	transaction->state = DB_TRANSACTION_UNKNOWN;
	db->in_doubt = true;
	return -RE_UNKNOWN;
}

void db_transaction_rollback(struct db_transaction *transaction)
{
	if (transaction->state != DB_TRANSACTION_OPEN)
		return;
	transaction_end(transaction->db);
	transaction->state = DB_TRANSACTION_ROLLED_BACK;
}

bool db_in_doubt(const struct db *db)
{
	return db->in_doubt;
}
