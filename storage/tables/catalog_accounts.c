/* Accounts. A row is never deleted: burying it takes its sealed profile and its look out and keeps
 * handle, lookup hash and times, so that an account that was erased is not made a second time under
 * its old name, unless an officer allows it: then the lookup hash goes to the new account. A hash
 * that is not there is NULL in the table and zeros in struct account_row. account_count repeats how
 * many accounts are in which state (catalog_mend.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db_internal.h"

#define COLUMNS                                                                                    \
	"id, handle, lookup, look, state, created_us, deleted_us, deleted_epoch, profile, genuine"

void catalog_account_clear(struct account_row *row)
{
	free(row->profile);
	memset(row, 0, sizeof(*row));
}

/* Counts one more, or one less, in a state. */
static int count_add(struct db *db, int64_t state, int64_t n)
{
	return db_run(db,
			"INSERT INTO account_count(state, count) VALUES (?1, ?2)"
			" ON CONFLICT (state) DO UPDATE SET count = count + ?2",
			"ii", state, n);
}

/* from 0: a new account. The account is stored already. */
static int count_move(struct db *db, int64_t from, int64_t to)
{
	int r = from ? count_add(db, from, -1) : 0;

	return r < 0 ? r : count_add(db, to, 1);
}

int catalog_account_add(struct db *db, struct account_row *row)
{
	int r = db_run(db,
			"INSERT INTO account(handle, lookup, look, state, created_us, deleted_us,"
			" deleted_epoch, profile)"
			" VALUES (?, ?, nullif(?, zeroblob(32)), ?, ?, 0, 0, ?)",
			"bbbiib", row->handle, sizeof(row->handle), row->lookup,
			sizeof(row->lookup), row->look, sizeof(row->look), (int64_t)row->state,
			row->created_us, row->profile, row->profile_bytes);

	if (r < 0)
		return r;
	row->id = db_last_id(db);
	return count_move(db, 0, row->state);
}

int catalog_account_set_profile(struct db *db, int64_t id, const void *sealed, size_t bytes)
{
	return db_run(db, "UPDATE account SET profile = ? WHERE id = ?", "bi", sealed, bytes, id);
}

/* The zeros stay for a hash that is not there. */
static int read_account_hash(
		sqlite3_stmt *q, int column, uint8_t ret_hash[static CATALOG_LOOKUP_BYTES])
{
	if (sqlite3_column_type(q, column) == SQLITE_NULL)
		return 0;
	return db_column_exact(q, column, ret_hash, CATALOG_LOOKUP_BYTES);
}

static int read_account_row(sqlite3_stmt *q, struct account_row *ret_row)
{
	int64_t state = sqlite3_column_int64(q, 4);
	struct account_row row = {
			.id = sqlite3_column_int64(q, 0),
			.state = (enum account_state)state,
			.created_us = sqlite3_column_int64(q, 5),
			.deleted_us = sqlite3_column_int64(q, 6),
			.deleted_epoch = (uint64_t)sqlite3_column_int64(q, 7),
	};
	if (!sqlite3_column_int(q, 9))
		return -RE_ALTERED;
	int r = state >= ACCOUNT_OPEN && state <= ACCOUNT_QUARANTINE ? 0 : -RE_CORRUPT;

	if (r == 0)
		r = db_column_exact(q, 1, row.handle, sizeof(row.handle));
	if (r == 0)
		r = read_account_hash(q, 2, row.lookup);
	if (r == 0)
		r = read_account_hash(q, 3, row.look);
	if (r == 0)
		r = db_column_copy(q, 8, &row.profile, &row.profile_bytes);
	if (r == 0)
		*ret_row = row;
	return r;
}

static int step_account(struct db *db, sqlite3_stmt *q, struct account_row *ret_row)
{
	int r = db_next(db, q);

	return r < 0 ? r : r == 0 ? -ENOENT : read_account_row(q, ret_row);
}

int catalog_account_by_id(struct db *db, int64_t id, struct account_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM account_read WHERE id = ?", "i", id);

	return r < 0 ? r : step_account(db, q, ret_row);
}

int catalog_account_by_lookup(struct db *db, const uint8_t lookup[static CATALOG_LOOKUP_BYTES],
		struct account_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM account_read WHERE lookup = ?", "b",
			lookup, (size_t)CATALOG_LOOKUP_BYTES);

	return r < 0 ? r : step_account(db, q, ret_row);
}

int catalog_account_by_handle(struct db *db, const uint8_t handle[static CATALOG_HANDLE_BYTES],
		struct account_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT " COLUMNS " FROM account_read WHERE handle = ?", "b",
			handle, (size_t)CATALOG_HANDLE_BYTES);

	return r < 0 ? r : step_account(db, q, ret_row);
}

int catalog_account_next(struct db *db, int64_t after_id, struct account_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT " COLUMNS
			" FROM account_read WHERE id > ? AND genuine ORDER BY id LIMIT 1",
			"i", after_id);

	return r < 0 ? r : step_account(db, q, ret_row);
}

int catalog_account_next_alike(struct db *db, const uint8_t look[static CATALOG_LOOKUP_BYTES],
		int64_t after_id, struct account_row *ret_row)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q,
			"SELECT " COLUMNS " FROM account_read WHERE look = ? AND id > ? AND genuine"
			" ORDER BY id LIMIT 1",
			"bi", look, (size_t)CATALOG_LOOKUP_BYTES, after_id);

	return r < 0 ? r : step_account(db, q, ret_row);
}

int catalog_account_count_alike(
		struct db *db, const uint8_t look[static CATALOG_LOOKUP_BYTES], int64_t *ret_count)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT count(*) FROM account WHERE look = ?", "b", look,
			(size_t)CATALOG_LOOKUP_BYTES);

	if (r == 0)
		r = db_next(db, q);
	if (r > 0)
		*ret_count = sqlite3_column_int64(q, 0);
	return r > 0 ? 0 : r;
}

int catalog_account_tally(struct db *db, int64_t ret_count[static ACCOUNT_QUARANTINE + 1])
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT state, count FROM account_count_read WHERE genuine", "");

	if (r < 0)
		return r;
	memset(ret_count, 0, sizeof(*ret_count) * (ACCOUNT_QUARANTINE + 1));
	while ((r = db_next(db, q)) > 0) {
		int64_t state = sqlite3_column_int64(q, 0);
		if (state >= ACCOUNT_OPEN && state <= ACCOUNT_QUARANTINE)
			ret_count[state] = sqlite3_column_int64(q, 1);
	}
	return r;
}

int catalog_account_bury(struct db *db, int64_t id, int64_t now_us, uint64_t epoch)
{
	struct account_row row;
	int r = catalog_account_by_id(db, id, &row);

	if (r < 0)
		return r == -ENOENT ? 1 : r;
	enum account_state state = row.state;
	catalog_account_clear(&row);
	if (state == ACCOUNT_DELETED)
		return 1;
	r = db_run(db,
			"UPDATE account SET state = ?2, deleted_us = ?3, deleted_epoch = ?4,"
			" profile = NULL, look = NULL WHERE id = ?1",
			"iiii", id, (int64_t)ACCOUNT_DELETED, now_us, (int64_t)epoch);
	return r < 0 ? r : count_move(db, state, ACCOUNT_DELETED);
}

int catalog_account_give_name(struct db *db, int64_t id)
{
	int r = db_run(db,
			"UPDATE account SET lookup = NULL"
			" WHERE id = ? AND state = ? AND lookup IS NOT NULL",
			"ii", id, (int64_t)ACCOUNT_DELETED);

	return r < 0 ? r : db_changes(db) == 1 ? 0 : -ENOENT;
}

int catalog_account_each_id(
		struct db *db, int (*visit)(void *context, int64_t account), void *context)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;
	int r = db_start(db, &q, "SELECT id FROM account ORDER BY id", "");

	while (r == 0 && (r = db_next(db, q)) > 0)
		r = visit(context, sqlite3_column_int64(q, 0));
	return r;
}
