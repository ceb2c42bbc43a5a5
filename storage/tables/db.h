/* The keeper's database: nodes, catalog, audit and work under way in one SQLite file, so that a
 * tombstone and the rows that go with it are one transaction.
 *
 * WAL, synchronous=FULL: a committed transaction is durable on return. Exclusive locking: one
 * keeper. Errors: -RE_CORRUPT when SQLite finds the file damaged or not a database, -ENOSPC, -EIO,
 * -ENOMEM, -EEXIST for a broken uniqueness, -RE_BUSY when another process has it open. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

#define VAULT_ID_BYTES  16
#define DB_DIGEST_BYTES 32

/* Opened and made in db_open.h. */
struct db *db_close(struct db *db);

/* A transaction that cannot be left open: when its scope ends uncommitted, it is rolled back.
 *
 *     _cleanup_transaction_ struct db_transaction transaction = {0};
 *     int r = db_transaction_begin(&transaction, db);
 *     if (r == 0)
 *             r = ...
 *     return r < 0 ? r : db_transaction_commit(&transaction);
 *
 * One at a time; beginning a second one fails and leaves the first as it is. */
enum db_transaction_state {
	DB_TRANSACTION_NONE, /* not begun, or beginning failed */
	DB_TRANSACTION_OPEN,
	DB_TRANSACTION_COMMITTED,
	DB_TRANSACTION_ROLLED_BACK, /* none of it is in the database, and none will be */
	DB_TRANSACTION_UNKNOWN,
};

struct db_transaction {
	struct db *db;
	enum db_transaction_state state;
};

int db_transaction_begin(struct db_transaction *transaction, struct db *db);

/* Durable on return of 0. After a failure the state says what is known. -RE_BUSY and -EEXIST came
 * before anything was written: rolled back. So is a transaction that SQLite had already given up by
 * itself after an error inside it (-EIO). After any other failure the end of the transaction may be
 * in the log although SQLite was told that writing it failed: readers of this connection do not see
 * the transaction, but the next one that opens the file may. The state is then UNKNOWN, and whoever
 * acts on the transaction must allow for both. */
int db_transaction_commit(struct db_transaction *transaction);

/* Rolls back what is open; harmless otherwise. Without a result: where rolling back fails, so does
 * the next statement. */
void db_transaction_rollback(struct db_transaction *transaction);
#define _cleanup_transaction_ __attribute__((cleanup(db_transaction_rollback)))

/* The same without a guard: db_rollback() is for error paths and has no result. What -EIO and
 * others say of db_commit() is what they say of db_transaction_commit(). */
int db_begin(struct db *db);
int db_commit(struct db *db);
void db_rollback(struct db *db);

/* Within a transaction: what follows can be undone by itself. */
int db_savepoint(struct db *db);
int db_savepoint_end(struct db *db, bool keep);

/* SQLite's own words for the last error, for the log. Valid until the next call. */
const char *db_last_message(struct db *db);

/* The one row that says which vault this is and what its root must be. */
struct vault_row {
	uint8_t vault_id[VAULT_ID_BYTES];
	uint64_t epoch;
	uint8_t anchor[DB_DIGEST_BYTES]; /* what the root slot of this epoch carries */
	int64_t created_us;
};
int db_vault_get(struct db *db, struct vault_row *ret_row);
int db_vault_put(struct db *db, const struct vault_row *row);
