/* Somebody takes a mirror out of keeper.db while the keeper is stopped, by deleting its row or by
 * putting rows and sums of an earlier epoch back, and keeps the medium: no erasure ends as "destroyed"
 * then, for the medium would undo it. Recordings are sealed and played meanwhile. An administrator who
 * has made sure of the media accepts the rows that are left.
 *
 * Negative control: without the question whether the rows are complete, the erasure is carried out and
 * the forgotten mirror holds the root from before it. */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "storage/tables/row_mac.h"
#include "tests/unit/support/mirror_fixture.h"

#define SECOND "second/root.slots"

static bool unasked;
bool __real_row_mac_is_complete(const struct db *db, const char *table);
bool __wrap_row_mac_is_complete(const struct db *db, const char *table);
bool __wrap_row_mac_is_complete(const struct db *db, const char *table)
{
	return unasked || __real_row_mac_is_complete(db, table);
}

static const char *const edits[] = {
		"DELETE FROM main.mirror",
		"DELETE FROM main.mirror WHERE name = 'second'",
		"DELETE FROM main.mirror; DELETE FROM main.row_set",
		"DELETE FROM main.mirror; UPDATE main.row_set SET box = zeroblob(length(box))",
		"DELETE FROM main.mirror; INSERT INTO main.mirror SELECT * FROM former.mirror",
		("DELETE FROM main.mirror; INSERT INTO main.mirror SELECT * FROM former.mirror;"
		 "UPDATE main.row_set SET box = (SELECT box FROM former.row_set)"),
};

/* A mirror called second is added; former is the database from before. */
static void scene_open(struct mirror_fixture *s)
{
	mirror_fixture_open(s);
	vault_fixture_shell(&s->f, "mkdir -m 700 $D/second");
	vault_fixture_shut(&s->f);
	vault_fixture_shell(&s->f, "cp -a $D/keeper $D/former");
	mirror_fixture_reopen(s);
	assert_int_equal(mirror_fixture_add(s, "second", "second", NULL), 0);
}

static void scene_edit(struct mirror_fixture *s, const char *statement)
{
	char text[256];
	sqlite3 *db;

	vault_fixture_shut(&s->f);
	snprintf(text, sizeof(text), "%s/keeper/keeper.db", s->f.dir);
	assert_int_equal(sqlite3_open(text, &db), SQLITE_OK);
	snprintf(text, sizeof(text), "ATTACH '%s/former/keeper.db' AS former", s->f.dir);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int scene_accept(struct mirror_fixture *s, uint64_t epoch)
{
	const struct vault_setup setup = {.config = s->f.config,
			.machine = vault_fixture_machine(&s->f),
			.accept_altered = epoch};
	struct reason reason = {""};

	vault_fixture_shut(&s->f);
	return vault_open(&setup, &s->f.vault, &reason);
}

static void test_erasures_wait(void **state)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct mirror_fixture s;
		struct root_record record;
		scene_open(&s);
		uint64_t epoch = vault_epoch(s.f.vault);
		scene_edit(&s, edits[i]);
		mirror_fixture_reopen(&s);
		if (mirror_fixture_erase(&s) == 0)
			fail_msg("%s: destroyed, though a mirror may hold the root", edits[i]);
		assert_int_equal(vault_epoch(s.f.vault), epoch);
		mirror_fixture_assert_plays(&s, s.bob);
		/* It stays so, whatever is written meanwhile and however often it starts. */
		vault_fixture_seal(&s.f, "carol", "a", 100, 1, NULL);
		mirror_fixture_reopen(&s);
		assert_int_equal(mirrors_ready(&s.f.vault->root, NULL), -RE_AWAY);
		assert_int_equal(mirrors_watch(&s.f.vault->root, NULL), -RE_AWAY);
		assert_true(mirror_fixture_records(&s, SECOND, &record) > 0);
		mirror_fixture_close(&s);
	}
}

static void test_what_is_left_is_accepted(void **state)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct mirror_fixture s;
		const struct row_finding *finding;
		size_t count;
		scene_open(&s);
		uint64_t epoch = vault_epoch(s.f.vault);
		scene_edit(&s, edits[i]);
		assert_int_equal(scene_accept(&s, epoch + 1), -RE_EPOCH);
		assert_int_equal(scene_accept(&s, epoch), 0);
		vault_fixture_shell(&s.f, "rm -r $D/second");
		if (!strstr(edits[i], "former") && !strstr(edits[i], "WHERE"))
			vault_fixture_shell(&s.f, "rm -r $D/usb");
		mirror_fixture_reopen(&s);
		assert_int_equal(row_mac_check(s.f.vault->db), 0);
		assert_int_equal(row_mac_findings(s.f.vault->db, &finding, &count), 0);
		if (mirror_fixture_erase(&s) != 0)
			fail_msg("%s: accepted, and yet erasures wait", edits[i]);
		assert_int_equal(vault_fixture_state(&s.f, s.alice), RECORDING_DESTROYED);
		assert_false(mirror_fixture_holds_old(&s, SCENE_KEEPER_FILE));
		/* An id is not given twice, though the sums knew which came last. */
		vault_fixture_seal(&s.f, "carol", "a", 100, 1, NULL);
		mirror_fixture_reopen(&s);
		mirror_fixture_close(&s);
	}
}

static void test_without_the_question(void **state)
{
	struct mirror_fixture s;

	scene_open(&s);
	scene_edit(&s, edits[1]);
	mirror_fixture_reopen(&s);
	unasked = true;
	assert_int_equal(mirror_fixture_erase(&s), 0);
	unasked = false;
	struct root_record record;
	assert_true(mirror_fixture_records(&s, SECOND, &record) > 0);
	assert_true(record.epoch < vault_epoch(s.f.vault));
	mirror_fixture_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_erasures_wait),
			cmocka_unit_test(test_what_is_left_is_accepted),
			cmocka_unit_test(test_without_the_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
