/* An erasure ended by a crash before, in the middle of and after every single operation on the root
 * slots and on the database: nothing alive is lost, and nothing that was noted escapes. */
#include "tests/unit/support/erasure_fixture.h"
#include "tests/unit/support/faults.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"

enum medium { ON_ROOT, ON_DATABASE };

/* In a process of its own: opens the vault, and erases with the fault armed. */
static void child(struct erasure_fixture *scene, enum medium medium, enum fault fault, unsigned at)
{
	if (medium == ON_DATABASE)
		faults_on_database(true);
	if (vault_fixture_reopen(&scene->vault, 0, NULL) < 0)
		_exit(1);
	if (medium == ON_ROOT)
		faults_on_root(scene->vault.vault);
	faults_arm(fault, at, 1);
	_exit(erasure_fixture_erase(scene) < 0 ? 2 : 0);
}

/* Crashes an erasure at this point; false when it ended before it came so far. */
static bool crash(struct erasure_fixture *scene, enum medium medium, enum fault fault, unsigned at)
{
	int status;

	vault_fixture_shut(&scene->vault);
	pid_t pid = fork();
	if (pid == 0)
		child(scene, medium, fault, at);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != FAULT_EXIT_CODE)
		assert_int_equal(WEXITSTATUS(status), 0);
	return WEXITSTATUS(status) == FAULT_EXIT_CODE;
}

static const enum fault crashes[] = {FAULT_EXIT_BEFORE, FAULT_EXIT_TORN, FAULT_EXIT_AFTER};

/* Returns how many points there were; counts those after which alice was destroyed. */
static unsigned sweep(enum medium medium, enum fault fault, unsigned step, unsigned *ret_destroyed)
{
	bool more = true;
	unsigned at = 0;

	*ret_destroyed = 0;
	for (; more; at += step) {
		struct erasure_fixture scene;
		erasure_fixture_open(&scene);
		more = crash(&scene, medium, fault, at);
		bool destroyed = erasure_fixture_recovers(&scene);
		*ret_destroyed += destroyed;
		assert_true(more || destroyed);
		assert_int_equal(erasure_fixture_recovers(&scene), destroyed);
		erasure_fixture_close(&scene);
	}
	return at / step;
}

/* By then the erasure was noted: it is carried out after every one of these crashes. */
static void test_a_crash_at_every_slot_operation(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(crashes); i++) {
		unsigned destroyed, points = sweep(ON_ROOT, crashes[i], 1, &destroyed);
		assert_int_equal(destroyed, points);
		assert_int_equal(points,
				5 + 1); /* two writes, three reads, and the undisturbed run */
	}
}

/* Whole or not at all: some of these come before the erasure was noted. */
static void test_a_crash_at_every_database_operation(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(crashes); i++) {
		unsigned destroyed, points = sweep(ON_DATABASE, crashes[i], 3, &destroyed);
		assert_true(points > 10);
		assert_in_range(destroyed, 2, points - 1);
	}
}

/* The recovery itself may crash, at any point, and again. */
static void crash_while_recovering(struct erasure_fixture *scene, enum medium medium, unsigned at)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		faults_on_database(medium == ON_DATABASE);
		faults_arm(FAULT_EXIT_TORN, at, 1);
		_exit(vault_fixture_reopen(&scene->vault, 0, NULL) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_EXIT_CODE);
}

static void test_a_crash_while_recovering_from_a_crash(void **state)
{
	for (unsigned at = 0; at < 60; at += 7) {
		struct erasure_fixture scene;
		erasure_fixture_open(&scene);
		assert_true(crash(&scene, ON_ROOT, FAULT_EXIT_TORN, 3));
		crash_while_recovering(&scene, ON_DATABASE, at);
		crash_while_recovering(&scene, ON_DATABASE, at / 2);
		assert_true(erasure_fixture_recovers(&scene));
		erasure_fixture_close(&scene);
	}
}

/* Negative control: a keeper that forgets to overwrite the old root is found out by the check. */
static void test_the_check_sees_an_old_root(void **state)
{
	uint8_t image[ROOT_IMAGE_BYTES], root[NODE_KEY_BYTES];
	struct erasure_fixture scene;
	uint64_t epoch;

	erasure_fixture_open(&scene);
	struct root_provider *provider = scene.vault.vault->root.copies->member[0].provider;
	unsigned slot = scene.vault.vault->root.slot;
	assert_int_equal(provider->ops->read(provider, slot, image), 0);
	assert_int_equal(erasure_fixture_erase(&scene), 0);
	assert_false(erasure_fixture_root_is_stored(&scene, scene.old_root));
	assert_int_equal(provider->ops->write(provider, slot, image), 0);
	assert_true(erasure_fixture_root_is_stored(&scene, scene.old_root));
	assert_int_equal(erasure_fixture_slots(&scene, root, &epoch), 2);
	/* And the next start overwrites what it finds there. */
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_a_crash_at_every_slot_operation),
			cmocka_unit_test(test_a_crash_at_every_database_operation),
			cmocka_unit_test(test_a_crash_while_recovering_from_a_crash),
			cmocka_unit_test(test_the_check_sees_an_old_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
