/* The gate: whichever way of destroying is tried, what must be kept is kept. Each test has its
 * negative control: the same deed goes through when nothing forbids it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/gate.h"
#include "storage/tables/db_internal.h"
#include "tests/unit/support/vault_fixture.h"

#define KEEP_US (31 * US_PER_DAY)

static void hold(struct vault_fixture *vault, const char *id, bool held)
{
	uint8_t ulid[ULID_BYTES];

	assert_int_equal(ulid_parse(id, ulid), 0);
	assert_int_equal(db_run(vault->vault->db, "UPDATE recording SET state = ? WHERE ulid = ?",
					 "ib", (int64_t)(held ? RECORDING_HELD : RECORDING_SEALED),
					 ulid, sizeof(ulid)),
			0);
}

static int shred(struct vault_fixture *vault, enum erasure_kind kind, const char *id,
		struct reason *reason)
{
	struct erasure_item item = vault_fixture_item(vault, kind, id);
	struct erasure_result result;

	return erasure_run(&vault->vault->eraser, &item, 1, &result, reason);
}

static void test_a_shred_of_what_is_held(void **state)
{
	struct vault_fixture *vault = *state;
	struct reason reason = {""};
	vault_fixture_id ids[2];

	vault_fixture_seal(vault, "alice", "a", 1, 2, ids);
	hold(vault, ids[1], true);
	assert_int_equal(shred(vault, ERASE_RECORDING, ids[1], &reason), -RE_REFUSED);
	assert_non_null(strstr(reason.text, "legal hold"));
	assert_int_equal(shred(vault, ERASE_ACCOUNT, ids[0], &reason), -RE_REFUSED);
	assert_non_null(strstr(reason.text, "legal hold"));
	/* nothing was noted either: a retry must not carry it out */
	assert_int_equal(erasure_retry(&vault->vault->eraser, NULL), 0);
	assert_int_equal(vault_fixture_state(vault, ids[0]), RECORDING_SEALED);
	assert_int_equal(vault_fixture_state(vault, ids[1]), RECORDING_HELD);

	hold(vault, ids[1], false);
	assert_int_equal(shred(vault, ERASE_ACCOUNT, ids[0], &reason), 0);
	assert_int_equal(vault_fixture_state(vault, ids[1]), RECORDING_DESTROYED);
}

static void test_an_expiry_of_what_is_held(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id held, other;
	bool more;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &held);
	vault_fixture_seal(vault, "bob", "b", 1, 1, &other);
	hold(vault, held, true);
	vault->now_us += KEEP_US;
	assert_int_equal(retention_run(&vault->vault->eraser, 100, &more, NULL), 0);
	assert_int_equal(vault_fixture_state(vault, held), RECORDING_HELD);
	assert_int_equal(vault_fixture_state(vault, other), RECORDING_EXPIRED);

	hold(vault, held, false);
	assert_int_equal(retention_run(&vault->vault->eraser, 100, &more, NULL), 0);
	assert_int_equal(vault_fixture_state(vault, held), RECORDING_EXPIRED);
}

/* Even when a group with a held member is asked for by name: it is left out, and the others go. */
static void test_a_held_group_among_others(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id held, other;
	struct erasure_result result;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &held);
	vault_fixture_seal(vault, "bob", "b", 1, 1, &other);
	struct erasure_item items[] = {vault_fixture_item(vault, ERASE_GROUP, held),
			vault_fixture_item(vault, ERASE_GROUP, other)};
	items[0].cause = items[1].cause = CAUSE_EXPIRY;
	hold(vault, held, true);
	assert_int_equal(erasure_run(&vault->vault->eraser, items, 2, &result, NULL), 0);
	assert_int_equal(result.refused, 1);
	assert_int_equal(result.recordings, 1);
	assert_int_equal(vault_fixture_state(vault, held), RECORDING_HELD);
	assert_int_equal(vault_fixture_state(vault, other), RECORDING_EXPIRED);
}

/* The database was told, by somebody who has no keys, to clear away what lives. */
static void test_a_burial_of_the_living(void **state)
{
	struct vault_fixture *vault = *state;
	struct db *db = vault->vault->db;
	struct reason reason = {""};
	vault_fixture_id id;
	bool more;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	struct erasure_item item = vault_fixture_item(vault, ERASE_GROUP, id);
	for (int kind = ERASE_ACCOUNT; kind <= ERASE_GROUP; kind++) {
		assert_int_equal(db_run(db, "INSERT INTO burial VALUES (?, ?, 5, 1, 1, 0, NULL)",
						 "ii", (int64_t)kind,
						 kind == ERASE_ACCOUNT ? item.account : item.group),
				0);
		assert_int_equal(bury_rows(db, 100, &more, &reason), -RE_REFUSED);
		assert_non_null(strstr(reason.text, "altered"));
		assert_int_equal(db_run(db, "DELETE FROM burial", ""), 0);
	}
	assert_int_equal(vault_fixture_state(vault, id), RECORDING_SEALED);

	assert_int_equal(vault_fixture_erase(vault, ERASE_ACCOUNT, id), 0);
	assert_int_equal(bury_rows(db, 100, &more, &reason), 0);
}

static void test_a_removal_of_the_living(void **state)
{
	struct vault_fixture *vault = *state;
	struct db *db = vault->vault->db;
	struct recording_opened opened;
	struct recording_row row;
	struct reason reason = {""};
	vault_fixture_id id;
	bool more;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	assert_int_equal(db_run(db, "INSERT INTO removal(ulid) SELECT ulid FROM recording", ""), 0);
	assert_int_equal(bury_objects(db, vault->vault->store, 100, &more, &reason), -RE_REFUSED);
	assert_non_null(strstr(reason.text, id));
	vault_fixture_row(vault, id, &row);
	assert_int_equal(recordings_open(&vault->vault->ingest.recordings, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	catalog_recording_clear(&row);

	assert_int_equal(vault_fixture_erase(vault, ERASE_RECORDING, id), 0);
	assert_int_equal(bury_objects(db, vault->vault->store, 100, &more, &reason), 0);
}

/* A note that a key was left behind, of a recording that was never moved: its only key stays. */
static void test_a_move_that_never_was(void **state)
{
	struct vault_fixture *vault = *state;
	struct db *db = vault->vault->db;
	struct reason reason = {""};
	vault_fixture_id id;

	vault_fixture_seal(vault, "alice", "a", 1, 1, &id);
	struct erasure_item item = vault_fixture_item(vault, ERASE_RECORDING, id);
	struct former_node former = {item.account, item.group, item.recording};
	assert_int_equal(former_node_add(db, &former), 0);
	assert_int_equal(erasure_retry(&vault->vault->eraser, &reason), -RE_REFUSED);
	assert_non_null(strstr(reason.text, "not moved"));
	assert_int_equal(vault_fixture_state(vault, id), RECORDING_SEALED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_a_shred_of_what_is_held),
			IN_VAULT(test_an_expiry_of_what_is_held),
			IN_VAULT(test_a_held_group_among_others),
			IN_VAULT(test_a_burial_of_the_living),
			IN_VAULT(test_a_removal_of_the_living),
			IN_VAULT(test_a_move_that_never_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
