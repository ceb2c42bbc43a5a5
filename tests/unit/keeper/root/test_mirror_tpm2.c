/* A mirror of the root in a TPM comes and goes, and the keeper ends at every write of its database
 * on the way: the mirror is whole and in use afterwards, or nothing is left of it. */
#include "tests/unit/support/faults.h"
#include "tests/unit/support/mirror_fixture.h"
#include "tests/unit/support/swtpm.h"

#include <errno.h>
#include <glob.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "storage/tpm2/root_tpm2.h"

#define POINTS_MIN 6 /* writes of an order, at least */

static struct swtpm tpm;

static int change(struct mirror_fixture *s, bool add)
{
	struct reason why = {""};
	const struct mirror_order order = {.name = "chip",
			.kind = MIRROR_TPM2,
			.location = add ? tpm.tcti : NULL,
			.reason = "test"};

	return add ? mirror_add_new(&s->f.vault->root, &order, &why)
		   : mirror_drop(&s->f.vault->root, &order, &why);
}

static bool in_use(struct mirror_fixture *s)
{
	struct mirror_row row;

	return mirror_table_find(s->f.vault->db, "chip", MIRROR_IN_USE, &row) == 0;
}

static bool has_folder(struct mirror_fixture *s)
{
	char pattern[96];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/keeper/mirror-*", s->f.dir);
	int r = glob(pattern, 0, NULL, &found);
	globfree(&found);
	return r == 0;
}

static void change_and_end(struct mirror_fixture *s, bool add, unsigned at)
{
	faults_on_database(true);
	if (vault_fixture_reopen(&s->f, 0, NULL) < 0)
		_exit(1);
	faults_arm(FAULT_EXIT_AFTER, at, 1);
	_exit(change(s, add) < 0 ? 2 : 0);
}

/* False when it was over before. */
static bool ends_at(struct mirror_fixture *s, bool add, unsigned at)
{
	int status;

	vault_fixture_shut(&s->f);
	pid_t pid = fork();
	if (pid == 0)
		change_and_end(s, add, at);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_EXIT_CODE);
	return WEXITSTATUS(status) == FAULT_EXIT_CODE;
}

static void assert_whole_or_nothing(struct mirror_fixture *s)
{
	size_t others = 2;

	mirror_fixture_reopen(s);
	assert_int_equal(mirrors_ready(&s->f.vault->root, NULL), 0);
	assert_int_equal(s->f.vault->root.copies->n, others + in_use(s));
	assert_true(has_folder(s) == in_use(s));
}

static void test_an_end_at_every_write(void **state)
{
	struct root_tpm2_options options = {.reason = NULL};
	struct root_provider *root;
	struct mirror_fixture s;

	assert_true(sodium_init() >= 0);
	if (root_tpm2_open(-1, &options, &root) == -EOPNOTSUPP || !swtpm_available())
		skip();
	swtpm_open(&tpm);
	mirror_fixture_open(&s);
	for (int add = 1; add >= 0; add--) {
		unsigned at = 0;
		for (bool more = true; more; at++) {
			if (in_use(&s) == add)
				assert_int_equal(change(&s, !add), 0);
			more = ends_at(&s, add, at);
			assert_whole_or_nothing(&s);
		}
		assert_true(at > POINTS_MIN);
		assert_true(in_use(&s) == add);
	}
	assert_int_equal(mirror_fixture_erase(&s), 0);
	mirror_fixture_assert_destroyed(&s);
	mirror_fixture_close(&s);
	swtpm_close(&tpm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_an_end_at_every_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
