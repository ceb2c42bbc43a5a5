/* Erasures on a medium that fails or lies: never success without the old root overwritten, never a
 * root lost; what could not be done stays pending and is done later. */
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

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/node_table.h"

/* Where the five operations of an erasure on the slots are (epoch.c). */
enum { WRITE_NEW, READ_NEW, CHECK_NEW, CLEAR_OLD, READ_OLD, OPERATIONS };

/* ENTERED: the new root is in place, the old one may be too, and nothing is destroyed yet. */
enum outcome { DONE, PENDING, ENTERED, STUCK };

static const struct {
	enum fault fault;
	unsigned at;
	unsigned n;
	enum outcome outcome;
} cases[] = {
		/* The new root cannot be written: the old one stays. */
		{FAULT_EIO, WRITE_NEW, 1, PENDING},
		{FAULT_EIO_TORN, WRITE_NEW, 1, PENDING},
		{FAULT_EIO_AFTER, WRITE_NEW, 1, PENDING},
		{FAULT_LIE, WRITE_NEW, 1, PENDING},
		{FAULT_EIO, READ_NEW, 1, PENDING},
		{FAULT_LIE, READ_NEW, 1, PENDING},
		{FAULT_EIO, CHECK_NEW, 1, PENDING},
		{FAULT_LIE, CHECK_NEW, 1, PENDING},
		/* The old root cannot be overwritten: a second attempt does it. */
		{FAULT_EIO, CLEAR_OLD, 1, DONE},
		{FAULT_EIO_TORN, CLEAR_OLD, 1, DONE},
		{FAULT_EIO_AFTER, CLEAR_OLD, 1, DONE},
		{FAULT_LIE, CLEAR_OLD, 1, DONE},
		{FAULT_EIO, READ_OLD, 1, DONE},
		{FAULT_LIE, READ_OLD, 1, DONE},
		/* Nothing can be done any more from here on: only a restart can tell what the slots
		 * hold.
		 */
		{FAULT_EIO, WRITE_NEW, FAULTS_ALWAYS, STUCK},
		{FAULT_EIO_TORN, WRITE_NEW, FAULTS_ALWAYS, STUCK},
		{FAULT_EIO_AFTER, WRITE_NEW, FAULTS_ALWAYS, STUCK},
		{FAULT_LIE, WRITE_NEW, FAULTS_ALWAYS, STUCK},
		{FAULT_EIO, READ_NEW, FAULTS_ALWAYS, STUCK},
		{FAULT_LIE, READ_NEW, FAULTS_ALWAYS, STUCK},
		{FAULT_EIO, CHECK_NEW, FAULTS_ALWAYS, STUCK},
		/* Or the old root cannot be overwritten, now. */
		{FAULT_EIO, CLEAR_OLD, 2, ENTERED},
		{FAULT_EIO, CLEAR_OLD, FAULTS_ALWAYS, ENTERED},
		{FAULT_EIO_TORN, CLEAR_OLD, FAULTS_ALWAYS, ENTERED},
		{FAULT_EIO_AFTER, CLEAR_OLD, FAULTS_ALWAYS, ENTERED},
		{FAULT_LIE, CLEAR_OLD, FAULTS_ALWAYS, ENTERED},
		{FAULT_EIO, READ_OLD, FAULTS_ALWAYS, ENTERED},
		{FAULT_LIE, READ_OLD, FAULTS_ALWAYS, ENTERED},
};

static void check_pending(struct erasure_fixture *scene)
{
	struct vault *vault = scene->vault.vault;
	uint8_t root[NODE_KEY_BYTES];
	uint64_t epoch = 0;

	assert_int_equal(vault_epoch(vault), scene->old_epoch);
	for (size_t i = 0; i < SCENE_ALICE; i++)
		assert_int_equal(vault_fixture_state(&scene->vault, scene->id[i]),
				RECORDING_PENDING);
	assert_int_equal(erasure_fixture_slots(scene, root, &epoch), 1);
	assert_int_equal(epoch, scene->old_epoch);
	assert_memory_equal(root, scene->old_root, sizeof(root));
	assert_int_equal(node_table_any_staged(vault->db), 0);
	assert_int_equal(erasure_retry(&vault->eraser, NULL), 0);
	assert_int_equal(erasure_retry(&vault->eraser, NULL),
			0); /* nothing to do: no further epoch */
}

/* Others live on at the new epoch; the erasure is for the next one, which overwrites what was left.
 */
static void check_entered(struct erasure_fixture *scene)
{
	struct vault *vault = scene->vault.vault;
	struct recording_opened opened;
	struct recording_row row;

	assert_int_equal(vault_epoch(vault), scene->old_epoch + 1);
	for (size_t i = 0; i < SCENE_ALICE; i++)
		assert_int_equal(vault_fixture_state(&scene->vault, scene->id[i]),
				RECORDING_PENDING);
	vault_fixture_row(&scene->vault, scene->id[SCENE_ALICE], &row);
	assert_int_equal(recordings_open(&vault->ingest.recordings, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	catalog_recording_clear(&row);
	assert_int_equal(node_table_any_staged(vault->db), 0);
	scene->old_epoch++;
}

static void run_case(size_t i)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	faults_on_root(scene.vault.vault);
	faults_arm(cases[i].fault, cases[i].at, cases[i].n);
	int r = erasure_fixture_erase(&scene);
	faults_disarm();
	bool stuck = root_is_stuck(&scene.vault.vault->root);
	bool entered = vault_epoch(scene.vault.vault) != scene.old_epoch;
	enum outcome outcome = r == 0 ? DONE : stuck ? STUCK : entered ? ENTERED : PENDING;
	if (outcome != cases[i].outcome)
		fail_msg("case %zu: result %d, stuck %d", i, r, stuck);
	if (outcome == STUCK) {
		assert_int_equal(erasure_fixture_erase(&scene), -RE_BUSY);
		assert_true(erasure_fixture_recovers(&scene));
	} else if (outcome == PENDING) {
		check_pending(&scene);
	} else if (outcome == ENTERED) {
		check_entered(&scene);
		/* At once, or after a restart. */
		assert_int_equal(i % 2 ? erasure_retry(&scene.vault.vault->eraser, NULL)
				       : vault_fixture_reopen(&scene.vault, 0, NULL),
				0);
	}
	assert_true(erasure_fixture_holds(&scene));
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

static void test_every_fault_of_the_slots(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		run_case(i);
}

/* A write or sync of a transaction fails at any point: either the erasure is done all the same, or it
 * is not known and only a restart tells. What was refused for sure is nowhere. */
static void test_every_fault_of_the_database(void **state)
{
	static const enum fault faults[] = {FAULT_EIO, FAULT_EIO_TORN, FAULT_EIO_AFTER};
	unsigned stuck = 0;

	for (unsigned at = 0; at < 400; at += 5) {
		struct erasure_fixture scene;
		erasure_fixture_open(&scene);
		vault_fixture_shut(&scene.vault);
		faults_on_database(true);
		assert_int_equal(vault_fixture_reopen(&scene.vault, 0, NULL), 0);
		faults_arm(faults[at / 5 % 3], at, 1);
		int r = erasure_fixture_erase(&scene);
		bool reached = faults_disarm() > at;
		faults_on_database(false);
		if (r < 0 && !root_is_stuck(&scene.vault.vault->root)) {
			assert_false(erasure_fixture_holds(&scene));
		}
		if (root_is_stuck(&scene.vault.vault->root)) {
			stuck++;
			assert_int_equal(r, -RE_UNKNOWN);
			assert_int_equal(erasure_fixture_erase(&scene), -RE_BUSY);
		}
		bool destroyed = erasure_fixture_recovers(&scene);
		if (r == 0 || !reached)
			assert_true(destroyed);
		erasure_fixture_close(&scene);
		if (!reached)
			break;
	}
	assert_true(stuck > 2);
}

/* What the child was told of its shred, before its process ended. */
enum told { TOLD_DONE, TOLD_PENDING, TOLD_FAILED, TOLD_NOT_KNOWN };

static void shred_with_fault(struct erasure_fixture *scene, enum fault fault, unsigned at)
{
	faults_on_database(true);
	if (vault_fixture_reopen(&scene->vault, 0, NULL) < 0)
		_exit(FAULT_EXIT_CODE);
	struct erasure_item item = vault_fixture_item(&scene->vault, ERASE_ACCOUNT, scene->id[0]);
	faults_arm(fault, at, 1);
	int r = erasure_fixture_erase(scene);
	bool reached = faults_disarm() > at;
	bool pending = erasure_table_is_noted(scene->vault.vault->db, &item) > 0;
	enum told told = r == 0             ? TOLD_DONE
			 : r == -RE_UNKNOWN ? TOLD_NOT_KNOWN
			 : pending          ? TOLD_PENDING
					    : TOLD_FAILED;
	_exit((int)told * 2 + reached);
}

/* What a caller is told stays true after the process has ended there: "failed" is never carried out,
 * "pending" always is. */
static bool told_the_truth(enum fault fault, unsigned at, unsigned *ret_told)
{
	struct erasure_fixture scene;
	int status;

	erasure_fixture_open(&scene);
	vault_fixture_shut(&scene.vault);
	pid_t pid = fork();
	if (pid == 0)
		shred_with_fault(&scene, fault, at);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != FAULT_EXIT_CODE);
	enum told told = (enum told)(WEXITSTATUS(status) / 2);
	bool destroyed = erasure_fixture_recovers(&scene);
	if (told == TOLD_FAILED ? destroyed : told != TOLD_NOT_KNOWN && !destroyed)
		fail_msg("fault %d at %u: told %d, but %s", fault, at, told,
				destroyed ? "carried out" : "not carried out");
	ret_told[told]++;
	erasure_fixture_close(&scene);
	return WEXITSTATUS(status) % 2;
}

static void test_what_is_told_stays_true(void **state)
{
	static const enum fault faults[] = {FAULT_EIO, FAULT_EIO_TORN, FAULT_EIO_AFTER};
	unsigned told[TOLD_NOT_KNOWN + 1] = {0};

	for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
		unsigned at = 0;
		while (told_the_truth(faults[i], at, told))
			at += at < 4 ? 1 : 3;
		assert_true(at > 20);
	}
	assert_true(told[TOLD_NOT_KNOWN] > 10 && told[TOLD_DONE] > 0);
}

/* What is noted is carried out along with the next erasure of anything. */
static void test_pending_goes_with_the_next(void **state)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	faults_on_root(scene.vault.vault);
	faults_arm(FAULT_EIO, WRITE_NEW, 1);
	assert_int_equal(erasure_fixture_erase(&scene), -EIO);
	faults_disarm();
	assert_int_equal(vault_fixture_erase(&scene.vault, ERASE_RECORDING, scene.id[3]), 0);
	assert_int_equal(vault_epoch(scene.vault.vault), scene.old_epoch + 1);
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[0]), RECORDING_DESTROYED);
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[3]), RECORDING_DESTROYED);
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[4]), RECORDING_SEALED);
	erasure_fixture_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_every_fault_of_the_slots),
			cmocka_unit_test(test_every_fault_of_the_database),
			cmocka_unit_test(test_what_is_told_stays_true),
			cmocka_unit_test(test_pending_goes_with_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
