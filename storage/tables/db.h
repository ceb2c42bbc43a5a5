/* The keeper's database: nodes, catalog, audit and work under way in one SQLite file, so that a
 * tombstone and the rows that go with it are one transaction.
 *
 * WAL, synchronous=FULL: a committed transaction is durable on return. Exclusive locking: one
 * keeper. Opening needs no room. Errors: -RE_CORRUPT when SQLite finds the file damaged or not
 * a database, -ENOSPC, -EIO, -ENOMEM, -EEXIST for a broken uniqueness, -RE_BUSY when another
 * process has it open. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* The pages of keeper.db that are kept in memory, at most; all of SQLite's memory that grows. */
#define DB_CACHE_KIB 65536

#define VAULT_ID_BYTES  16
#define DB_DIGEST_BYTES 32

/* Opened and made in db_open.h. */
struct db *db_close(struct db *db);

/* ---- Transactions ----
 *
 * A transaction cannot be left open: when its scope ends uncommitted, it is rolled back.
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

/* How much of the reserve a transaction must leave; see below. */
enum db_room {
	DB_ROOM_SEALING,  /* all of it */
	DB_ROOM_ORDINARY, /* half of it: records of plays and of orders, changes of mirrors */
	DB_ROOM_ERASING,  /* nothing */
};

/* db_transaction_begin() is for DB_ROOM_ORDINARY. -ENOSPC: the reserve would not be left.
 * -EAGAIN: the database is in doubt. */
int db_transaction_begin(struct db_transaction *transaction, struct db *db);
int db_transaction_begin_for(struct db_transaction *transaction, struct db *db, enum db_room room);

/* Durable on return of 0. After a failure the state says what is known. -RE_BUSY, -EEXIST and
 * -ENOSPC came before the end of the transaction was written: rolled back. So is a transaction that
 * SQLite had already given up by itself after an error inside it (-EIO).
 *
 * After any other failure the end of the transaction may be in the log although SQLite was told
 * that writing it failed: readers of this connection do not see the transaction, but the next
 * one that opens the file may. The state is then UNKNOWN and the result -RE_UNKNOWN, and the
 * database is in doubt: it begins no other transaction until it was closed and opened again.
 * Nobody has to allow for both outcomes but the keeper, which stops, and whoever asked, who is
 * told that it is not known. */
int db_transaction_commit(struct db_transaction *transaction);

/* Rolls back what is open; harmless otherwise. Without a result: where rolling back fails, so does
 * the next statement. */
void db_transaction_rollback(struct db_transaction *transaction);
#define _cleanup_transaction_ __attribute__((cleanup(db_transaction_rollback)))

/* Whether a commit ended so that only a restart can tell what the database holds. */
bool db_in_doubt(const struct db *db);

/* ---- Room ----
 *
 * A transaction is written to the log (keeper.db-wal), and from there to the database by and
 * by. The log's file is never shortened or removed, and at least DB_RESERVE_BYTES of it are
 * kept free: that is the reserve. It belongs to the file, so nothing else that fills the disk
 * can take it, and the reserve is whole again as soon as the log was copied to the database. An
 * orderly close voids the log, so that a keeper.db that is put back alone is not mixed with the
 * log of another. */
#define DB_RESERVE_BYTES (UINT64_C(4) << 20)

/* Makes sure that the log has room for this much, and makes it longer if need be. -ENOSPC,
 * -errno. */
int db_room_take(struct db *db, uint64_t bytes);

/* How much of the log is in use. */
uint64_t db_room_used(const struct db *db);

/* What the log has room for as it is, and what it could be made longer by. */
uint64_t db_room_left(const struct db *db);
uint64_t db_room_free(const struct db *db);

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
