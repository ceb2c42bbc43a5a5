/* What on a machine could keep keys: told for machines made of a few files. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/root/preflight.h"
#include "tests/unit/support/vault_fixture.h"

static char told[8192];

static void note(void *context, const char *sentence)
{
	strncat(told, sentence, sizeof(told) - strlen(told) - 2);
	strcat(told, "\n");
}

/* The shell makes a host below $D/host; what the preflight says of it. */
static const char *told_of(struct vault_fixture *vault, const char *commands)
{
	char host[128];

	vault_fixture_shell(vault, "rm -rf $D/host && mkdir -p $D/host/proc/self $D/host/sys/power "
				   "$D/host/sys/kernel $D/host/sys/fs/cgroup/unit");
	vault_fixture_shell(vault, commands);
	snprintf(host, sizeof(host), "%s/host", vault->dir);
	told[0] = '\0';
	preflight_check(vault->config->keeper_dir, host, note, NULL);
	return told;
}

#define SWAP                                                                                       \
	"cd $D/host && printf 'Filename Type Size\\n/dev/sda2 partition 100\\n' >proc/swaps && "

static void test_swap(void **state)
{
	struct vault_fixture *vault = *state;

	assert_null(strstr(told_of(vault, "true"), "swap"));
	assert_null(strstr(told_of(vault, "echo Filename Type >$D/host/proc/swaps"), "swap"));
	assert_null(strstr(told_of(vault, "cd $D/host && printf 'Filename\\n/dev/zram0 p\\n' "
					  ">proc/swaps"),
			"swap"));
	assert_non_null(strstr(told_of(vault, SWAP "true"), "swap is on"));
	assert_non_null(strstr(told_of(vault, SWAP "echo 0::/unit >proc/self/cgroup && echo max "
						   ">sys/fs/cgroup/unit/memory.swap.max"),
			"swap is on"));
	assert_null(strstr(told_of(vault, SWAP "echo 0::/unit >proc/self/cgroup && echo 0 "
					       ">sys/fs/cgroup/unit/memory.swap.max"),
			"swap is on"));
}

static void test_hibernation(void **state)
{
	struct vault_fixture *vault = *state;

	assert_non_null(strstr(told_of(vault, SWAP "echo freeze mem disk >sys/power/state && echo "
						   "'[platform] shutdown' >sys/power/disk"),
			"hibernate"));
	assert_null(strstr(told_of(vault, SWAP "echo freeze mem disk >sys/power/state && echo "
					       "'[disabled]' >sys/power/disk"),
			"hibernate"));
	assert_null(strstr(told_of(vault, SWAP "echo freeze mem >sys/power/state"), "hibernate"));
}

static void test_crash_kernel(void **state)
{
	struct vault_fixture *vault = *state;

	assert_non_null(strstr(told_of(vault, "echo 1 >$D/host/sys/kernel/kexec_crash_loaded"),
			"crash kernel"));
	assert_null(strstr(told_of(vault, "echo 0 >$D/host/sys/kernel/kexec_crash_loaded"),
			"crash kernel"));
}

static void test_snapshot_of_the_volume(void **state)
{
	struct vault_fixture *vault = *state;
	char commands[512];
	struct stat st;

	assert_int_equal(stat(vault->config->keeper_dir, &st), 0);
	for (int origin = 0; origin < 2; origin++) {
		snprintf(commands, sizeof(commands),
				"mkdir -p $D/host/sys/dev/block/%u:%u/slaves/dm-1/dm && echo LVM-abc%s "
				">$D/host/sys/dev/block/%u:%u/slaves/dm-1/dm/uuid",
				major(st.st_dev), minor(st.st_dev), origin ? "-real" : "",
				major(st.st_dev), minor(st.st_dev));
		const char *text = strstr(told_of(vault, commands), "snapshot");
		assert_true(origin ? text != NULL : text == NULL);
	}
}

static void test_required_assurance(void **state)
{
	struct vault_fixture *vault = *state;
	struct root *root = &vault->vault->root;
	struct reason reason = {""};

	assert_int_equal(preflight_assurance(root, &reason), 0);
	root->settings.require_assurance = "file";
	assert_int_equal(preflight_assurance(root, &reason), 0);
	root->settings.require_assurance = "virtual-tpm";
	assert_int_equal(preflight_assurance(root, &reason), -RE_REFUSED);
	assert_non_null(strstr(reason.text, "RequireAssurance=virtual-tpm"));
	assert_non_null(strstr(reason.text, "assurance file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_swap),
			IN_VAULT(test_hibernation),
			IN_VAULT(test_crash_kernel),
			IN_VAULT(test_snapshot_of_the_volume),
			IN_VAULT(test_required_assurance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
