/* Places that are not what they were: the folder of objects without its volume, or replaced; the root's
 * file moved away, or a medium that does not answer. */
#include "tests/unit/support/erasure_fixture.h"
#include "tests/unit/support/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/objects_place.h"

static int begin_one(struct vault_fixture *vault, struct ingest_job **ret_job)
{
	struct ingest_request request = vault_fixture_request(vault, "alice", "a", 10);

	return ingest_begin(&vault->vault->ingest, &request, ret_job);
}

static void assert_away(struct vault_fixture *vault, const char *words)
{
	struct ingest_job *job = NULL;
	struct reason reason = {""};

	assert_int_equal(begin_one(vault, &job), -ENOMEDIUM);
	assert_int_equal(objects_place_check(&vault->vault->root, &reason), -ENOMEDIUM);
	if (!strstr(reason.text, words))
		fail_msg("not \"%s\", but \"%s\"", words, reason.text);
	/* Nothing was put into the wrong folder. */
	vault_fixture_shell(vault, "test -z \"$(find $D/objects -type f 2>/dev/null)\"");
}

static void assert_there(struct vault_fixture *vault)
{
	vault_fixture_id id;

	assert_int_equal(objects_place_check(&vault->vault->root, NULL), 0);
	vault_fixture_seal(vault, "bob", "b", 10, 1, &id);
}

static void test_not_mounted_at_the_start(void **state)
{
	static const char *const unmounts[] = {
			"mv $D/objects $D/volume && mkdir $D/objects", "mv $D/objects $D/volume"};

	for (size_t i = 0; i < sizeof(unmounts) / sizeof(*unmounts); i++) {
		struct vault_fixture vault;
		vault_fixture_id id;
		vault_fixture_open(&vault);
		vault_fixture_seal(&vault, "alice", "a", 10, 1, &id);
		vault_fixture_shut(&vault);
		vault_fixture_shell(&vault, unmounts[i]);
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		assert_away(&vault, "no epoch-1 file");
		assert_int_equal(vault_fixture_state(&vault, id), RECORDING_SEALED);
		vault_fixture_shell(&vault, "rmdir $D/objects && mv $D/volume $D/objects");
		assert_there(&vault);
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		assert_there(&vault);
		vault_fixture_close(&vault);
	}
}

/* A vault that has sealed nothing yet has nothing to miss. */
static void test_a_new_vault_needs_no_witness(void **state)
{
	struct vault_fixture vault;

	vault_fixture_open(&vault);
	vault_fixture_shut(&vault);
	vault_fixture_shell(&vault, "rm -r $D/objects && mkdir $D/objects");
	assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
	vault_fixture_shell(&vault, "test -e $D/objects/epoch-1");
	assert_there(&vault);
	vault_fixture_close(&vault);
}

/* While it runs: another folder in its place, none, and its own again. */
static void test_replaced_while_running(void **state)
{
	struct ingest_job *job = NULL;
	struct vault_fixture vault;
	int result = 0;

	vault_fixture_open(&vault);
	struct ingest_request request = vault_fixture_request(&vault, "alice", "a", 10);
	job = vault_fixture_begin(&vault, &request);
	vault_fixture_shell(&vault, "mv $D/objects $D/volume && mkdir $D/objects");
	/* Begun before, committed after: the plaintext stays. */
	vault_fixture_commit(vault.vault, &job, 1, &result);
	assert_int_equal(result, -ENOMEDIUM);
	assert_away(&vault, "no epoch file");
	vault_fixture_shell(&vault, "rmdir $D/objects");
	assert_away(&vault, "No such file");
	vault_fixture_shell(&vault, "mv $D/volume $D/objects");
	assert_there(&vault);
	/* Moved to a larger disk. */
	vault_fixture_shell(&vault, "cp -a $D/objects $D/larger && mv $D/objects $D/old && "
				    "mv $D/larger $D/objects");
	assert_there(&vault);
	vault_fixture_shell(&vault, "test $(find $D/objects -name '*.age' | wc -l) -eq 2");
	vault_fixture_close(&vault);
}

/* Keys are erased without the objects, whose files are removed once they are back. */
static void test_erasing_without_objects(void **state)
{
	struct erasure_fixture scene;
	struct vault_fixture *vault = &scene.vault;

	erasure_fixture_open(&scene);
	vault_fixture_shut(vault);
	vault_fixture_shell(vault, "mv $D/objects $D/volume");
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	assert_int_equal(erasure_fixture_erase(&scene), 0);
	assert_true(vault->vault->root.witness_owed);
	vault_fixture_shell(vault, "test -z \"$(find $D/objects -type f)\"");
	vault_fixture_shell(vault, "rmdir $D/objects && mv $D/volume $D/objects");
	epoch_witness(&vault->vault->root);
	assert_false(vault->vault->root.witness_owed);
	vault_fixture_shell(vault, "test -e $D/objects/epoch-2");
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

/* The one copy of the root is moved away under the keeper: found by its path, and well again when it is
 * back. */
static void test_the_root_is_moved_away(void **state)
{
	struct erasure_fixture scene;
	struct reason reason = {""};
	struct vault_fixture *vault = &scene.vault;

	erasure_fixture_open(&scene);
	struct root *root = &vault->vault->root;
	const struct root_member *own = &root->copies->member[0];
	assert_int_equal(mirrors_watch(root, &reason), 0);
	vault_fixture_shell(vault, "mv $D/keeper/root.slots $D/elsewhere");
	mirrors_check_paths(root);
	assert_non_null(strstr(own->why_away.text, "missing"));
	assert_int_equal(mirrors_watch(root, &reason), -RE_AWAY);
	assert_int_equal(erasure_fixture_erase(&scene), -RE_AWAY);
	vault_fixture_shell(vault, "cp $D/elsewhere $D/keeper/root.slots");
	assert_int_equal(mirrors_watch(root, &reason), -RE_AWAY);
	vault_fixture_shell(vault, "mv $D/elsewhere $D/keeper/root.slots");
	assert_int_equal(mirrors_watch(root, &reason), 0);
	assert_string_equal(own->why_away.text, "");
	assert_int_equal(erasure_retry(&vault->vault->eraser, NULL), 0);
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

/* A medium that does not answer, or answers something else, is found by reading it. */
static void test_the_root_does_not_answer(void **state)
{
	static const enum fault deaths[] = {FAULT_EIO, FAULT_LIE};

	for (size_t i = 0; i < sizeof(deaths) / sizeof(*deaths); i++) {
		struct erasure_fixture scene;
		struct reason reason = {""};
		erasure_fixture_open(&scene);
		struct root *root = &scene.vault.vault->root;
		faults_on_root(scene.vault.vault);
		faults_arm(deaths[i], 0, FAULTS_ALWAYS);
		assert_int_equal(mirrors_watch(root, &reason), -RE_AWAY);
		assert_non_null(strstr(reason.text, "cannot be read"));
		assert_string_not_equal(root->copies->member[0].why_away.text, "");
		faults_disarm();
		assert_int_equal(mirrors_watch(root, &reason), 0);
		assert_string_equal(root->copies->member[0].why_away.text, "");
		erasure_fixture_close(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_not_mounted_at_the_start),
			cmocka_unit_test(test_a_new_vault_needs_no_witness),
			cmocka_unit_test(test_replaced_while_running),
			cmocka_unit_test(test_erasing_without_objects),
			cmocka_unit_test(test_the_root_is_moved_away),
			cmocka_unit_test(test_the_root_does_not_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
