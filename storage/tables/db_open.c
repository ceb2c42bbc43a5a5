#include "storage/tables/db_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/row_mac_internal.h"
#include "storage/tables/schema.h"

#define TEXT_OF(value)     #value
#define NUMBER_TEXT(value) TEXT_OF(value)
#define DB_CACHE_TEXT      NUMBER_TEXT(DB_CACHE_KIB)

static int query_number(struct db *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *statement;
	int r = db_error(sqlite3_prepare_v2(db_handle(db), sql, -1, &statement, NULL));

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
		r = db_execute(db, settings[i]);
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
	int r = db_execute(db, "PRAGMA locking_mode=EXCLUSIVE");

	if (r == 0 && !created)
		r = check_identity(db);
	return r < 0 ? r : configure_connection(db);
}

static int explain_cantopen(const char *path)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return -ELOOP; /* a link on the way, which SQLite does not follow either */
}

/* What is damaged stays as it is. */
static void close_untouched(struct db *db)
{
	sqlite3_db_config(db_handle(db), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	db_close(db);
}

/* SQLite takes an empty file for a new database, and removes the log beside it, which may be
 * all that is left. */
static int check_not_empty(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 ? -RE_CORRUPT : 0;
}

static int open_database_file(const char *dir, bool created, struct db **ret_db)
{
	_cleanup_free_ char *path = NULL;
	struct db *db;

	if (asprintf(&path, "%s/keeper.db", dir) < 0)
		return -ENOMEM;
	int r = created ? 0 : check_not_empty(path);
	if (r == 0)
		r = db_connect(path, &db);
	if (r < 0) /* -ENOENT is SQLite's word for whatever open(2) says */
		return r == -ENOENT ? explain_cantopen(path) : r;
	r = prepare_connection(db, created);
	if (r < 0) {
		close_untouched(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

/* What the connection adds to the file: room in its log, and to its schema. */
static int open_reading(const char *dir, struct db *db)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/keeper.db", dir) < 0)
		return -ENOMEM;
	int r = db_room_open(db, path);
	if (r == 0)
		r = row_mac_attach(db);
	return r < 0 ? r : db_execute(db, schema_recording_now);
}

int db_open(const char *dir, struct db **ret_db)
{
	struct db *db;
	int r = open_database_file(dir, false, &db);

	if (r < 0)
		return r;
	r = schema_check(db_handle(db), schema, ELEMENTSOF(schema));
	if (r == 0)
		r = open_reading(dir, db);
	if (r < 0) {
		close_untouched(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

static int create_schema(struct db *db)
{
	char identity[96];
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, db);

	for (size_t i = 0; i < ELEMENTSOF(schema) && r == 0; i++)
		r = db_execute(db, schema[i]);
	snprintf(identity, sizeof(identity), "PRAGMA application_id=%d; PRAGMA user_version=%d",
			DB_APPLICATION_ID, DB_FORMAT);
	if (r == 0)
		r = db_execute(db, identity);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

int db_open_new(const char *dir, struct db **ret_db)
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
		r = open_reading(dir, db);
	if (r < 0) {
		close_untouched(db);
		return r;
	}
	*ret_db = db;
	return 0;
}
