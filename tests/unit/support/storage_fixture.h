/* A database in a fresh folder, for tests of storage/; the state is a struct store. */
#pragma once

#include "tests/unit/support/folder_fixture.h"

#include <sodium.h>

#include "base/error.h"
#include "storage/tables/db.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/db_open.h"

struct store {
	struct folder *folder;
	struct db *db;
};

static inline int open_store(void **state)
{
	static const struct vault_row vault = {
			.vault_id = {1, 2, 3}, .epoch = 7, .anchor = {9}, .created_us = 5};
	struct store *s = calloc(1, sizeof(*s));
	void *folder;

	if (sodium_init() < 0 || make_folder(&folder) != 0)
		return -1;
	s->folder = folder;
	*state = s;
	return db_open_new(s->folder->path, &s->db) < 0 || db_vault_put(s->db, &vault) < 0;
}

static inline int close_store(void **state)
{
	struct store *s = *state;
	void *folder = s->folder;

	db_close(s->db);
	free(s);
	return remove_folder(&folder);
}

static inline void sql(struct store *s, const char *statement)
{
	assert_int_equal(db_run(s->db, statement, ""), 0);
}

/* The number that a query gives. */
static inline int64_t ask(struct store *s, const char *query)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(db_start(s->db, &q, query, ""), 0);
	assert_int_equal(db_next(s->db, q), 1);
	return sqlite3_column_int64(q, 0);
}

#define in_store(test) cmocka_unit_test_setup_teardown(test, open_store, close_store)
