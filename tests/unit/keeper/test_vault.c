/* Opening a vault: new, in use, incomplete, damaged. No key is ever made over what is there. */
#include "tests/unit/support/erasure_fixture.h"
#include "tests/unit/support/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "storage/tables/db_internal.h"

/* Opens the vault after this was done to it; it must fail so, and say these words. */
static void assert_refused(
		struct vault_fixture *vault, const char *command, int expected, const char *words)
{
	char *text = NULL;

	vault_fixture_shut(vault);
	vault_fixture_shell(vault, command);
	vault_fixture_shell(vault, "cd $D && find keeper objects -type f ! -name lock -exec "
				   "sha256sum {} + 2>/dev/null |"
				   " sort >before");
	int r = vault_fixture_reopen(vault, 0, &text);
	if (r != expected || !strstr(text, words))
		fail_msg("%s: %d, %s", command, r, text);
	free(text);
	/* Nothing was made, changed or removed. */
	vault_fixture_shell(vault, "cd $D && find keeper objects -type f ! -name lock -exec "
				   "sha256sum {} + 2>/dev/null |"
				   " sort | cmp - before");
}

static void test_a_second_keeper(void **state)
{
	struct vault_fixture vault;
	struct vault *second = NULL;
	struct reason reason = {""};

	vault_fixture_open(&vault);
	const struct vault_setup setup = {.config = vault.config,
			.machine = {.wall = clock_system, .boot = clock_system}};
	assert_int_equal(vault_open(&setup, &second, &reason), -RE_BUSY);
	assert_null(second);
	assert_non_null(strstr(reason.text, "another recseal-keeper is running"));
	assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
	vault_fixture_close(&vault);
}

#define DAMAGE(block)                                                                              \
	"printf 0123456789 | dd of=$D/keeper/root.slots bs=1 seek=$((" block                       \
	" * 4096 + 40)) conv=notrunc status=none"

static void test_both_slots_damaged(void **state)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	assert_refused(&scene.vault, DAMAGE("0") " && " DAMAGE("1"), -RE_NO_ROOT, "no new root");
	erasure_fixture_close(&scene);
}

static void test_the_other_slot_damaged(void **state)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	vault_fixture_shut(&scene.vault);
	vault_fixture_shell(&scene.vault, DAMAGE("1"));
	assert_false(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

static const struct {
	const char *command;
	int expected;
	const char *words;
} damages[] = {
		{"rm $D/keeper/keeper.db*", -ENOENT, "no keeper.db"},
		{"rm $D/keeper/root.slots", -ENOENT, "no root.slots"},
		{"rm $D/keeper/*", -RE_NO_ROOT, "has no keys"},
		{"rm -r $D/keeper", -RE_NO_ROOT, "has no keys"},
		{": >$D/keeper/keeper.db", -RE_CORRUPT, "corrupt"},
		{"truncate -s 8192 $D/keeper/keeper.db", -RE_CORRUPT, "corrupt"},
		{"truncate -s 4096 $D/keeper/root.slots", -RE_CORRUPT, "damaged"},
		{DAMAGE("2"), -RE_CORRUPT, "damaged"},
		{"rm $D/keeper/root.slots && mkdir $D/keeper/root.slots", -EISDIR, "root file"},
		{"rm $D/keeper/keeper.db && mkdir $D/keeper/keeper.db", -EISDIR, "database"},
};

static void test_incomplete_and_damaged_state(void **state)
{
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct erasure_fixture scene;
		erasure_fixture_open(&scene);
		assert_refused(&scene.vault, damages[i].command, damages[i].expected,
				damages[i].words);
		erasure_fixture_close(&scene);
	}
}

/* Damage that only shows when the rows are read. */
static void test_damaged_rows(void **state)
{
	static const char *const edits[] = {
			"UPDATE node SET sealed = zeroblob(72) WHERE parent = 0",
			"UPDATE node SET sealed = zeroblob(7) WHERE parent = 0",
			"DELETE FROM node WHERE parent = 0",
			"UPDATE vault SET anchor = zeroblob(32)",
			"UPDATE vault SET anchor = zeroblob(3)",
			"UPDATE vault SET epoch = 2",
			"DELETE FROM vault",
			"DELETE FROM account WHERE state = 5",
			"INSERT INTO erasure VALUES (9, 9, 9, 9, 9, 9, NULL, 9, 9, NULL)",
	};

	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		struct erasure_fixture scene;
		char *text = NULL;
		erasure_fixture_open(&scene);
		assert_int_equal(db_run(scene.vault.vault->db, edits[i], ""), 0);
		int r = vault_fixture_reopen(&scene.vault, 0, &text);
		if (r != -RE_CORRUPT && r != -RE_EPOCH)
			fail_msg("%s: %d", edits[i], r);
		if (strlen(text) < 30)
			fail_msg("%s: no sentence, but \"%s\"", edits[i], text);
		free(text);
		erasure_fixture_close(&scene);
	}
}

static void test_a_new_vault_after_a_crash_while_making_one(void **state)
{
	unsigned at = 0;

	for (bool more = true; more; at += 9) {
		struct vault_fixture vault;
		vault_fixture_id id;
		int status;
		vault_fixture_open(&vault);
		vault_fixture_shut(&vault);
		vault_fixture_shell(&vault, "rm -r $D/keeper $D/objects");
		pid_t pid = fork();
		if (pid == 0) {
			faults_on_database(true);
			faults_arm(FAULT_EXIT_TORN, at, 1);
			_exit(vault_fixture_reopen(&vault, 0, NULL) < 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		more = WEXITSTATUS(status) == FAULT_EXIT_CODE;
		assert_true(more || WEXITSTATUS(status) == 0);
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		vault_fixture_seal(&vault, "alice", "a", 1, 1, &id);
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		assert_int_equal(vault_fixture_state(&vault, id), RECORDING_SEALED);
		vault_fixture_close(&vault);
	}
	assert_true(at > 40);
}

/* What a crash may leave, made by hand. */
static void test_remains_of_a_new_vault(void **state)
{
	static const char *const remains[] = {
			"touch $D/keeper/creating",
			"touch $D/keeper/creating $D/keeper/root.slots",
			"touch $D/keeper/creating && truncate -s 12288 $D/keeper/root.slots",
			"touch $D/keeper/creating $D/keeper/root.slots $D/keeper/keeper.db",
			"touch $D/keeper/creating $D/keeper/keeper.db-wal $D/objects/epoch-1",
	};

	for (size_t i = 0; i < sizeof(remains) / sizeof(*remains); i++) {
		struct vault_fixture vault;
		vault_fixture_open(&vault);
		vault_fixture_shut(&vault);
		vault_fixture_shell(&vault, "rm $D/keeper/* $D/objects/epoch-1");
		vault_fixture_shell(&vault, remains[i]);
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		vault_fixture_shell(&vault, "test ! -e $D/keeper/creating");
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		vault_fixture_close(&vault);
	}
}

static const char *const marks[] = {
		"touch $D/keeper/creating",
		"head -c 32 /dev/urandom >$D/keeper/creating",
		"echo nonsense >$D/keeper/creating",
};

/* The mark of a vault in the making, however it came there, says nothing against a vault that is whole:
 * at its first epoch, with recordings and without, and later. */
static void test_the_mark_beside_a_whole_vault(void **state)
{
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		struct erasure_fixture scene;
		struct vault_fixture empty;
		erasure_fixture_open(&scene);
		vault_fixture_shut(&scene.vault);
		vault_fixture_shell(&scene.vault, marks[i]);
		assert_false(erasure_fixture_recovers(&scene));
		vault_fixture_shell(&scene.vault, "test ! -e $D/keeper/creating");
		assert_int_equal(erasure_fixture_erase(&scene), 0);
		vault_fixture_shut(&scene.vault);
		vault_fixture_shell(&scene.vault, marks[i]);
		assert_true(erasure_fixture_recovers(&scene));
		erasure_fixture_close(&scene);
		vault_fixture_open(&empty);
		uint8_t id[VAULT_ID_BYTES];
		memcpy(id, empty.vault->root.vault_id, sizeof(id));
		vault_fixture_shut(&empty);
		vault_fixture_shell(&empty, marks[i]);
		assert_int_equal(vault_fixture_reopen(&empty, 0, NULL), 0);
		assert_memory_equal(empty.vault->root.vault_id, id, sizeof(id));
		vault_fixture_close(&empty);
	}
}

/* Nor does it give up what is left of a vault whose other half is missing or damaged. */
static void test_the_mark_beside_half_a_vault(void **state)
{
	static const struct {
		const char *damage;
		int expected;
		const char *words;
	} halves[] = {
			{"rm $D/keeper/keeper.db* $D/objects/epoch-1", -RE_NO_ROOT,
					"restore keeper.db"},
			{": >$D/keeper/keeper.db; rm $D/objects/epoch-1", -RE_NO_ROOT,
					"restore keeper.db"},
			{"rm $D/keeper/keeper.db* $D/objects/epoch-1; " DAMAGE("2"), -RE_NO_ROOT,
					"restore keeper.db"},
			{"rm $D/keeper/root.slots", -ENOENT, "no root.slots"},
			{DAMAGE("2"), -RE_CORRUPT, "damaged"},
			{"dd if=/dev/urandom of=$D/keeper/keeper.db bs=1k count=8 conv=notrunc status=none",
					-RE_CORRUPT, "corrupt"},
	};
	char command[512];

	for (size_t i = 0; i < sizeof(halves) / sizeof(*halves); i++) {
		for (size_t j = 0; j < sizeof(marks) / sizeof(*marks); j++) {
			struct erasure_fixture scene;
			snprintf(command, sizeof(command), "%s; %s", halves[i].damage, marks[j]);
			erasure_fixture_open(&scene);
			assert_refused(&scene.vault, command, halves[i].expected, halves[i].words);
			erasure_fixture_close(&scene);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_a_second_keeper),
			cmocka_unit_test(test_both_slots_damaged),
			cmocka_unit_test(test_the_other_slot_damaged),
			cmocka_unit_test(test_incomplete_and_damaged_state),
			cmocka_unit_test(test_damaged_rows),
			cmocka_unit_test(test_a_new_vault_after_a_crash_while_making_one),
			cmocka_unit_test(test_remains_of_a_new_vault),
			cmocka_unit_test(test_the_mark_beside_a_whole_vault),
			cmocka_unit_test(test_the_mark_beside_half_a_vault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
