#include "storage/tables/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "storage/tables/db_internal.h"

int db_error(int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -RE_CORRUPT;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -RE_BUSY;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_AUTH: /* from row_sql.c, and nothing else: there is no authorizer */
		return -RE_ALTERED;
	default:
		return -EIO;
	}
}

int db_execute(struct db *db, const char *sql)
{
	return db_error(sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int db_connect(const char *path, struct db **ret_db)
{
	struct db *db = calloc(1, sizeof(*db));

	if (!db)
		return -ENOMEM;
	db->file_fd = db->log_fd = -1;
	int r = db_error(sqlite3_open_v2(path, &db->handle,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX, NULL));
	if (r < 0) {
		db_close(db);
		return r;
	}
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	db_room_keep_log(db);
	*ret_db = db;
	return 0;
}

void db_attach(struct db *db, const struct db_part *part)
{
	db->part = *part;
}

void *db_attached(const struct db *db)
{
	return db->part.state;
}

struct db *db_close(struct db *db)
{
	if (!db)
		return NULL;
	for (size_t i = 0; i < DB_STATEMENTS_MAX && db->cache[i].sql; i++)
		sqlite3_finalize(db->cache[i].statement);
	bool settled = db_room_settle(db);
	sqlite3_close(db->handle);
	db_room_close(db, settled);
	if (db->part.state)
		db->part.free(db->part.state);
	free(db);
	return NULL;
}

int db_savepoint(struct db *db)
{
	if (db->part.state)
		db->part.saved(db->part.state);
	return db_execute(db, "SAVEPOINT part");
}

int db_savepoint_end(struct db *db, bool keep)
{
	int r = keep ? 0 : db_execute(db, "ROLLBACK TO part");

	if (r == 0 && !keep && db->part.state)
		db->part.restored(db->part.state);
	return r < 0 ? r : db_execute(db, "RELEASE part");
}

const char *db_last_message(struct db *db)
{
	return sqlite3_errmsg(db->handle);
}

static int prepare_statement(struct db *db, const char *sql, sqlite3_stmt **ret_statement)
{
	size_t i = 0;

	for (; i < DB_STATEMENTS_MAX && db->cache[i].sql; i++) {
		if (db->cache[i].sql == sql) {
			*ret_statement = db->cache[i].statement;
			return 0;
		}
	}
	if (i == DB_STATEMENTS_MAX)
		return -ENOMEM;
	int r = db_error(sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
			&db->cache[i].statement, NULL));
	if (r < 0)
		return r;
	db->cache[i].sql = sql;
	*ret_statement = db->cache[i].statement;
	return 0;
}

static int bind_parameters(sqlite3_stmt *statement, const char *types, va_list ap)
{
	int result = SQLITE_OK;

	for (int i = 1; types[i - 1] && result == SQLITE_OK; i++) {
		if (types[i - 1] == 'i') {
			result = sqlite3_bind_int64(statement, i, va_arg(ap, int64_t));
		} else if (types[i - 1] == 'b') {
			const void *p = va_arg(ap, const void *);
			size_t len = va_arg(ap, size_t);
			result = sqlite3_bind_blob64(statement, i, p, len, SQLITE_STATIC);
		} else {
			result = sqlite3_bind_text(
					statement, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
		}
	}
	return db_error(result);
}

static int start_statement(struct db *db, sqlite3_stmt **ret_statement, const char *sql,
		const char *types, va_list ap)
{
	sqlite3_stmt *statement;
	int r = prepare_statement(db, sql, &statement);

	if (r < 0)
		return r;
	sqlite3_reset(statement);
	r = bind_parameters(statement, types, ap);
	if (r < 0)
		return r;
	*ret_statement = statement;
	return 0;
}

int db_start(struct db *db, sqlite3_stmt **ret_statement, const char *sql, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	int r = start_statement(db, ret_statement, sql, types, ap);
	va_end(ap);
	return r;
}

int db_next(struct db *db, sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	if (result == SQLITE_ROW)
		return 1;
	sqlite3_reset(statement);
	if (db->part.state)
		db->part.stepped(db->part.state, result == SQLITE_DONE);
	return db_error(result);
}

/* What is attached has its say at a commit. */
static bool needs_transaction(const struct db *db, sqlite3_stmt *statement)
{
	return db->part.state && sqlite3_get_autocommit(db->handle) &&
	       !sqlite3_stmt_readonly(statement);
}

static int run_in_transaction(struct db *db, sqlite3_stmt *statement)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	/* As much room as the statement alone had. */
	int r = db_transaction_begin_for(&transaction, db, DB_ROOM_ERASING);

	if (r == 0)
		r = db_next(db, statement);
	if (r < 0)
		return r;
	int committed = db_transaction_commit(&transaction);
	return committed < 0 ? committed : r;
}

int db_run(struct db *db, const char *sql, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list ap;

	va_start(ap, types);
	int r = start_statement(db, &statement, sql, types, ap);
	va_end(ap);
	if (r == 0)
		r = needs_transaction(db, statement) ? run_in_transaction(db, statement)
						     : db_next(db, statement);
	return r;
}

sqlite3 *db_handle(struct db *db)
{
	return db->handle;
}

int64_t db_changes(struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_column_exact(sqlite3_stmt *statement, int column, void *ret_bytes, size_t bytes)
{
	if (sqlite3_column_type(statement, column) != SQLITE_BLOB ||
			(size_t)sqlite3_column_bytes(statement, column) != bytes)
		return -RE_CORRUPT;
	memcpy(ret_bytes, sqlite3_column_blob(statement, column), bytes);
	return 0;
}

int db_column_copy(sqlite3_stmt *statement, int column, uint8_t **ret_bytes, size_t *ret_len)
{
	size_t len = (size_t)sqlite3_column_bytes(statement, column);

	if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
		*ret_bytes = NULL;
		*ret_len = 0;
		return 0;
	}
	uint8_t *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, sqlite3_column_blob(statement, column), len);
	*ret_bytes = copy;
	*ret_len = len;
	return 0;
}

int db_column_text(sqlite3_stmt *statement, int column, char *ret_text, size_t len)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	if (!text || strlen(text) >= len)
		return -RE_CORRUPT;
	strcpy(ret_text, text);
	return 0;
}
