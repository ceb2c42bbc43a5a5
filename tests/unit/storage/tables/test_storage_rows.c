/* Authenticated rows by themselves: macs and sums stay right under rollbacks, savepoints and changes
 * during a round; what was altered is named and is not changed; what can be told from other rows is
 * written again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage/tables/catalog.h"
#include "storage/tables/db_open.h"
#include "storage/tables/mirror_table.h"
#include "storage/tables/row_mac.h"
#include "tests/unit/support/storage_fixture.h"

static const uint8_t key[ROW_MAC_KEY_BYTES] = {7};

static int open_keyed(void **state)
{
	static const struct vault_row vault = {.vault_id = {1}, .epoch = 1, .created_us = 5};
	struct store *s = calloc(1, sizeof(*s));
	void *folder;

	if (sodium_init() < 0 || make_folder(&folder) != 0)
		return -1;
	s->folder = folder;
	*state = s;
	return db_open_new(s->folder->path, &s->db) < 0 || row_mac_start(s->db, key, true) < 0 ||
	       db_vault_put(s->db, &vault) < 0;
}

#define keyed(test) cmocka_unit_test_setup_teardown(test, open_keyed, close_store)

static size_t findings(struct store *s, const char **ret_table)
{
	const struct row_finding *found;
	size_t count, n = row_mac_findings(s->db, &found, &count);

	if (ret_table)
		*ret_table = n > 0 ? found[0].table : "";
	return n;
}

static void assert_whole(struct store *s)
{
	const char *table;

	assert_int_equal(row_mac_check(s->db), 0);
	if (findings(s, &table) > 0)
		fail_msg("table %s", table);
}

static void add_account(struct store *s, uint8_t i)
{
	struct account_row row = {.handle = {i}, .lookup = {i}, .state = ACCOUNT_OPEN};

	assert_int_equal(catalog_account_add(s->db, &row), 0);
}

static void add_recording_from(struct store *s, uint8_t i, uint8_t from)
{
	uint8_t source[CATALOG_LOOKUP_BYTES] = {from};
	struct recording_row row = {.ulid = {i},
			.account = 1,
			.group = 1,
			.state = RECORDING_SEALED,
			.class = "default",
			.plain_bytes = 100};

	assert_int_equal(catalog_recording_add(s->db, &row, source), 0);
}

static void add_recording(struct store *s, uint8_t i)
{
	add_recording_from(s, i, i);
}

/* Closes the database, edits it as anybody could, and opens it again. */
static void edit(struct store *s, const char *statement)
{
	char path[256];
	sqlite3 *handle;

	s->db = db_close(s->db);
	snprintf(path, sizeof(path), "%s/keeper.db", s->folder->path);
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(sqlite3_exec(handle, statement, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
	assert_int_equal(db_open(s->folder->path, &s->db), 0);
	assert_int_equal(row_mac_start(s->db, key, false), 0);
}

static void test_rollbacks(void **state)
{
	struct store *s = *state;

	struct db_transaction transaction = {0};

	add_account(s, 1);
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	add_account(s, 2);
	db_transaction_rollback(&transaction);
	assert_whole(s);
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	add_account(s, 3);
	assert_int_equal(db_savepoint(s->db), 0);
	add_account(s, 4);
	assert_int_equal(db_savepoint_end(s->db, false), 0);
	assert_int_equal(db_savepoint(s->db), 0);
	add_account(s, 5);
	assert_int_equal(db_savepoint_end(s->db, true), 0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	assert_whole(s);
	edit(s, "SELECT 1");
	assert_whole(s);
	assert_int_equal(ask(s, "SELECT count(*) FROM account"), 3);
}

/* Rows come, change and go before and behind the round. */
static void test_changes_during_a_round(void **state)
{
	struct store *s = *state;
	uint64_t rounds = row_mac_rounds(s->db);
	uint8_t n = 0;

	for (int i = 0; i < 10; i++)
		add_recording(s, ++n);
	for (int i = 0; i < 200; i++) {
		assert_true(row_mac_stride(s->db, 3) >= 0);
		struct db_transaction transaction = {0};
		assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
		if (i % 5 == 0 && n < 60)
			add_recording(s, ++n);
		int64_t id = 1 + i % 10;
		assert_int_equal(catalog_recording_set_private(s->db, id, "x", (size_t)(i % 2)), 0);
		assert_int_equal(db_run(s->db, "UPDATE recording SET expires_us = ? WHERE id = ?",
						 "ii", (int64_t)i, 1 + (id * 7) % 10),
				0);
		if (i % 7 == 0)
			sql(s, "DELETE FROM source WHERE recording = (SELECT max(recording) FROM source)");
		if (i % 3 == 0)
			db_transaction_rollback(&transaction);
		else
			assert_int_equal(db_transaction_commit(&transaction), 0);
		n = (uint8_t)ask(s, "SELECT max(id) FROM recording");
	}
	assert_true(row_mac_rounds(s->db) > rounds + 3);
	assert_whole(s);
}

static void test_an_altered_row_is_not_changed(void **state)
{
	struct store *s = *state;
	const char *table;
	struct recording_row row;
	const uint8_t ulid[ULID_BYTES] = {2};

	add_recording(s, 1);
	add_recording(s, 2);
	edit(s, "UPDATE recording SET class = 'other' WHERE id = 2");
	assert_int_equal(findings(s, NULL), 0);
	struct db_transaction transaction = {0};
	assert_int_equal(db_transaction_begin(&transaction, s->db), 0);
	assert_int_equal(catalog_recording_set_private(s->db, 1, "x", 1), 0);
	/* of two rows, the second */
	assert_int_equal(db_run(s->db, "UPDATE recording SET expires_us = 9", ""), -RE_ALTERED);
	assert_int_equal(db_transaction_commit(&transaction),
			-EIO); /* what was done by half is not kept */
	assert_int_equal(ask(s, "SELECT sum(expires_us) FROM recording"), 0);
	assert_int_equal(findings(s, &table), 1);
	assert_string_equal(table, "recording");
	assert_int_equal(catalog_recording_by_ulid(s->db, ulid, &row), -RE_ALTERED);
	assert_int_equal(row_mac_check(s->db), 0);
	assert_int_equal(findings(s, NULL), 2); /* and its table's sum */
	edit(s, "UPDATE recording SET class = 'default' WHERE id = 2");
	assert_whole(s);
}

/* An altered row of a source says nothing, and is not in the way when its file is sealed again. */
static void test_an_altered_source_is_replaced(void **state)
{
	struct store *s = *state;
	uint8_t source[CATALOG_LOOKUP_BYTES] = {1};
	struct recording_row row;

	add_account(s, 1);
	add_recording(s, 1);
	edit(s, "UPDATE source SET recording = recording + 1");
	assert_int_equal(catalog_recording_by_source(s->db, source, &row), -ENOENT);
	add_recording_from(s, 2, 1);
	assert_int_equal(catalog_recording_by_source(s->db, source, &row), 0);
	assert_int_equal(row.ulid[0], 2);
	catalog_recording_clear(&row);
	assert_int_equal(row_mac_check(s->db), 0);
	assert_true(findings(s, NULL) > 0); /* and it is not forgotten that it was altered */
}

static void test_what_repeats_others_is_written_again(void **state)
{
	struct store *s = *state;
	struct tally tally;
	char tables[128];

	for (uint8_t i = 1; i <= 3; i++) {
		add_account(s, i);
		add_recording(s, i);
	}
	edit(s, "UPDATE tally SET count = 99; UPDATE account_count SET count = 99");
	assert_int_equal(catalog_tally_get(s->db, 1, &tally), 0);
	assert_int_equal(tally.count[RECORDING_SEALED], 3);
	assert_int_equal(catalog_mend(s->db, tables, sizeof(tables)), 1);
	assert_string_equal(tables, "tally, account_count");
	assert_whole(s);
	assert_int_equal(ask(s, "SELECT count FROM account_count"), 3);
	assert_int_equal(ask(s, "SELECT sum(count) FROM tally"), 6);
	add_recording(s, 4);
	assert_whole(s);
	assert_int_equal(catalog_mend(s->db, tables, sizeof(tables)), 0);
}

/* In doubt a copy of the root was given up: groups are closed and an epoch is owed, whether the note
 * was altered or taken away. */
static void test_a_lost_note_closes_groups(void **state)
{
	static const char *const edits[] = {"UPDATE mirror_note SET group_floor = group_floor - 1",
			"UPDATE mirror_note SET changed_epoch = 0, mac = NULL",
			"DELETE FROM mirror_note"};
	struct store *s = *state;
	int64_t before, after;
	uint64_t epoch;
	bool created;

	for (size_t i = 0; i < ELEMENTSOF(edits); i++) {
		assert_int_equal(mirror_table_close_groups(s->db), 0);
		assert_int_equal(catalog_group_for(s->db, 1, 1, 1, &before, &created), 0);
		assert_true(created);
		assert_int_equal(catalog_group_for(s->db, 1, 1, 1, &after, &created), 0);
		assert_int_equal(after, before);
		edit(s, edits[i]);
		assert_int_equal(catalog_mend(s->db, NULL, 0), 1);
		assert_int_equal(mirror_table_get_changed(s->db, &epoch), 0);
		assert_int_equal(epoch, ask(s, "SELECT epoch FROM vault"));
		assert_int_equal(catalog_group_for(s->db, 1, 1, 1, &after, &created), 0);
		assert_true(created && after > before);
		assert_whole(s);
	}
}

static void test_ids_do_not_come_again(void **state)
{
	struct store *s = *state;

	add_account(s, 1);
	add_account(s, 2);
	edit(s, "DELETE FROM sqlite_sequence");
	assert_int_equal(ask(s, "SELECT seq FROM sqlite_sequence WHERE name = 'account'"), 2);
	edit(s, "UPDATE sqlite_sequence SET seq = 9223372036854775807");
	add_account(s, 3);
	assert_int_equal(ask(s, "SELECT max(id) FROM account"), 3);
	assert_whole(s);
}

static void test_another_schema_is_refused(void **state)
{
	static const char *const edits[] = {
			"CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM account; END",
			"CREATE VIEW v AS SELECT 1", "DROP INDEX recording_held",
			"ALTER TABLE account ADD COLUMN more"};

	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		void *store;
		char path[256];
		sqlite3 *handle;
		assert_int_equal(open_keyed(&store), 0);
		struct store *s = store;
		s->db = db_close(s->db);
		snprintf(path, sizeof(path), "%s/keeper.db", s->folder->path);
		assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
		assert_int_equal(sqlite3_exec(handle, edits[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(handle);
		assert_int_equal(db_open(s->folder->path, &s->db), -RE_ALTERED);
		assert_int_equal(close_store(&store), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			keyed(test_rollbacks),
			keyed(test_changes_during_a_round),
			keyed(test_an_altered_row_is_not_changed),
			keyed(test_an_altered_source_is_replaced),
			keyed(test_what_repeats_others_is_written_again),
			keyed(test_a_lost_note_closes_groups),
			keyed(test_ids_do_not_come_again),
			cmocka_unit_test(test_another_schema_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
