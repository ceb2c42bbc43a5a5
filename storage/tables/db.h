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

/* Opens DIR/keeper.db, which must exist; or creates it with its schema (-EEXIST when it is there).
 */
int db_open(const char *dir, struct db **ret_db);
int db_create(const char *dir, struct db **ret_db);
struct db *db_close(struct db *db);

/* One transaction at a time. db_rollback() is for error paths and has no result. */
int db_begin(struct db *db);
int db_commit(struct db *db);
/* Within a transaction: what follows can be undone by itself. */
int db_savepoint(struct db *db);
int db_savepoint_end(struct db *db, bool keep);
void db_rollback(struct db *db);

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
