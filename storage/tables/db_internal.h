/* SQLite, for the files of this folder only. */
#pragma once

#include <sqlite3.h>

#include "storage/tables/db.h"

#define DB_STATEMENTS_MAX 128

/* What takes part in every transaction (row_mac_internal.h), and is freed with the database. */
struct db_part {
	void *state;
	int (*before_commit)(struct db *db); /* may write; a failure rolls back */
	void (*committed)(void *state);
	void (*rolled_back)(void *state);
	void (*saved)(void *state); /* at a savepoint */
	void (*restored)(void *state);
	/* A statement has ended; not done: it failed, and may have changed something. */
	void (*stepped)(void *state, bool done);
	void (*free)(void *state);
};

struct db {
	sqlite3 *handle;
	struct {
		const char *sql; /* compared as a pointer: string literals only */
		sqlite3_stmt *statement;
	} cache[DB_STATEMENTS_MAX];
	bool in_doubt;
	struct db_part part;
	/* Of db_room.c. Closed after SQLite's own: closing any descriptor of a file ends the locks
	 * that the process has on it (fcntl(2)). */
	int file_fd, log_fd; /* -1: not open */
	uint64_t log_bytes;  /* allocated to the log */
	uint64_t log_frames; /* of these in use: not yet in the database */
};

/* The log's part of opening and closing. db_room_keep_log() comes before the first statement.
 * db_room_settle() says whether all of the log is in the database, and db_room_close() then
 * voids it. */
void db_room_keep_log(struct db *db);
int db_room_open(struct db *db, const char *path);
bool db_room_settle(struct db *db);
void db_room_close(struct db *db, bool settled);

/* A prepared statement for this text (cached for the life of the database), reset and bound.
 *
 * types has a letter per parameter: 'i' int64_t; 'b' const void *, size_t (NULL pointer: SQL NULL);
 * 't' const char * (may be NULL). Blobs and texts must stay until the statement is reset. sql must
 * be a string literal. */
int db_start(struct db *db, sqlite3_stmt **ret_statement, const char *sql, const char *types, ...);

/* 1 a row, 0 no more (and then the statement is reset), <0. */
int db_next(struct db *db, sqlite3_stmt *statement);

static inline void db_end_p(sqlite3_stmt **statement)
{
	if (*statement)
		sqlite3_reset(*statement);
}
/* Resets, so that a SELECT left early does not keep its read transaction. */
#define _cleanup_query_ __attribute__((cleanup(db_end_p)))

/* db_start, one step, reset: for statements that give no rows. */
int db_run(struct db *db, const char *sql, const char *types, ...);

sqlite3 *db_handle(struct db *db);
/* Rows changed by the last statement; rowid of the last insert. */
int64_t db_changes(struct db *db);
int64_t db_last_id(struct db *db);

/* A column as a blob of exactly this size: 0, or -RE_CORRUPT. */
int db_column_exact(sqlite3_stmt *statement, int column, void *ret_bytes, size_t bytes);
/* A column as a malloc'd copy; NULL and 0 for SQL NULL. */
int db_column_copy(sqlite3_stmt *statement, int column, uint8_t **ret_bytes, size_t *ret_len);
/* A column as text that fits len with its NUL: 0, or -RE_CORRUPT. */
int db_column_text(sqlite3_stmt *statement, int column, char *ret_text, size_t len);

/* From an SQLite result code. */
int db_error(int sqlite_result);

/* Opens a file as a database, with nothing set: the first half of db_open(). */
int db_connect(const char *path, struct db **ret_db);
/* Statements without parameters, of any text. */
int db_execute(struct db *db, const char *sql);

void db_attach(struct db *db, const struct db_part *part);
void *db_attached(const struct db *db); /* its state; NULL: none */
