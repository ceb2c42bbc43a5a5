#include "storage/tables/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/schema.h"

#define TEXT_OF(value)     #value
#define NUMBER_TEXT(value) TEXT_OF(value)
#define DB_CACHE_TEXT      NUMBER_TEXT(DB_CACHE_KIB)

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
	default:
		return -EIO;
	}
}

static int execute_sql(struct db *db, const char *sql)
{
	return db_error(sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static int query_number(struct db *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *statement;
	int r = db_error(sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL));

	if (r < 0)
		return r;
	int result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return result == SQLITE_ROW ? 0 : result == SQLITE_DONE ? -RE_CORRUPT : db_error(result);
}

/* The settings that durability and safety rest on; each connection needs them. */
static int configure_connection(struct db *db)
{
	static const char *const settings[] = {
			"PRAGMA journal_mode=WAL",
			"PRAGMA synchronous=FULL",
			"PRAGMA trusted_schema=OFF",
			"PRAGMA cell_size_check=ON",
			"PRAGMA temp_store=MEMORY",
			("PRAGMA cache_size=-" DB_CACHE_TEXT),
	};
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(settings) && r == 0; i++)
		r = execute_sql(db, settings[i]);
	return r;
}

static int check_identity(struct db *db)
{
	int64_t application, format;
	int r = query_number(db, "PRAGMA application_id", &application);

	if (r == 0)
		r = query_number(db, "PRAGMA user_version", &format);
	if (r < 0)
		return r;
	return application == DB_APPLICATION_ID && format == DB_FORMAT ? 0 : -RE_CORRUPT;
}

/* Checks whose file it is before anything is set: a setting may write to it. Only the lock comes
 * first, because it must come before WAL, so that no shared memory file is needed. */
static int prepare_connection(struct db *db, bool created)
{
	int r = execute_sql(db, "PRAGMA locking_mode=EXCLUSIVE");

	if (r == 0 && !created)
		r = check_identity(db);
	return r < 0 ? r : configure_connection(db);
}

/* SQLite takes an empty file for a new database, and removes the log beside it, which may be
 * all that is left. */
static int check_not_empty(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 ? -RE_CORRUPT : 0;
}

static int explain_cantopen(const char *path)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return -ELOOP; /* a link on the way, which SQLite does not follow either */
}

static int open_database_file(const char *dir, bool created, struct db **ret_db)
{
	_cleanup_free_ char *path = NULL;
	struct db *db = calloc(1, sizeof(*db));

	if (db)
		db->file_fd = db->log_fd = -1;
	if (!db || asprintf(&path, "%s/keeper.db", dir) < 0) {
		free(db);
		return -ENOMEM;
	}
	int r = created ? 0 : check_not_empty(path);
	if (r == 0)
		r = db_error(sqlite3_open_v2(path, &db->handle,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX,
				NULL));
	if (r == -ENOENT) /* SQLite's word for whatever open(2) says */
		r = explain_cantopen(path);
	if (r == 0) {
		sqlite3_extended_result_codes(db->handle, 1);
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		db_room_keep_log(db);
		r = prepare_connection(db, created);
	}
	if (r == 0 && !created)
		r = db_room_open(db, path);
	if (r < 0) {
		/* What is damaged stays as it is. */
		if (db->handle)
			sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		db_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

int db_open(const char *dir, struct db **ret_db)
{
	return open_database_file(dir, false, ret_db);
}

static int create_schema(struct db *db)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	char identity[96];
	int r = db_transaction_begin(&transaction, db);

	for (size_t i = 0; i < ELEMENTSOF(schema) && r == 0; i++)
		r = execute_sql(db, schema[i]);
	snprintf(identity, sizeof(identity), "PRAGMA application_id=%d; PRAGMA user_version=%d",
			DB_APPLICATION_ID, DB_FORMAT);
	if (r == 0)
		r = execute_sql(db, identity);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

int db_create(const char *dir, struct db **ret_db)
{
	_cleanup_free_ char *path = NULL;
	struct db *db;

	if (asprintf(&path, "%s/keeper.db", dir) < 0)
		return -ENOMEM;
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	int r = open_database_file(dir, true, &db);
	if (r < 0)
		return r;
	r = create_schema(db);
	if (r == 0)
		r = db_room_open(db, path);
	if (r < 0) {
		db_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
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
	free(db);
	return NULL;
}

int db_savepoint(struct db *db)
{
	return execute_sql(db, "SAVEPOINT part");
}

int db_savepoint_end(struct db *db, bool keep)
{
	int r = keep ? 0 : execute_sql(db, "ROLLBACK TO part");

	return r < 0 ? r : execute_sql(db, "RELEASE part");
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
	return db_error(result);
}

int db_run(struct db *db, const char *sql, const char *types, ...)
{
	sqlite3_stmt *statement;
	va_list ap;

	va_start(ap, types);
	int r = start_statement(db, &statement, sql, types, ap);
	va_end(ap);
	if (r == 0)
		r = db_next(db, statement);
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

int db_vault_get(struct db *db, struct vault_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	struct vault_row row;
	int r = db_start(db, &q, "SELECT vault_id, epoch, anchor, created_us FROM vault", "");

	if (r == 0)
		r = db_next(db, q);
	if (r <= 0)
		return r < 0 ? r : -RE_CORRUPT;
	row.epoch = (uint64_t)sqlite3_column_int64(q, 1);
	row.created_us = sqlite3_column_int64(q, 3);
	r = db_column_exact(q, 0, row.vault_id, sizeof(row.vault_id));
	if (r == 0)
		r = db_column_exact(q, 2, row.anchor, sizeof(row.anchor));
	if (r == 0)
		*ret_row = row;
	return r;
}

int db_vault_put(struct db *db, const struct vault_row *row)
{
	return db_run(db,
			"INSERT INTO vault(id, vault_id, epoch, anchor, created_us)"
			" VALUES (1, ?, ?, ?, ?) ON CONFLICT (id)"
			" DO UPDATE SET epoch = excluded.epoch, anchor = excluded.anchor",
			"bibi", row->vault_id, sizeof(row->vault_id), (int64_t)row->epoch,
			row->anchor, sizeof(row->anchor), row->created_us);
}
