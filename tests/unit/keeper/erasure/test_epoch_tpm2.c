/* The keeper's epochs on root slots in a TPM: erasures, a TPM that dies in the middle of one, and a
 * state put back. The vault is the real one; only its root file is replaced (--wrap). */
#include "tests/unit/support/swtpm.h"
#include "tests/unit/support/vault_fixture.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/root/mirrors.h"
#include "storage/tpm2/root_tpm2.h"

#define OPERATIONS 8 /* more reads, and more writes, than an erasure has */

int __wrap_root_file_create(int dir_fd, struct root_provider **ret_provider);
int __wrap_root_file_open(int dir_fd, bool adopt, struct root_provider **ret_provider);

static bool available;
static struct swtpm tpm;
static struct swtpm_tap tap;

int __wrap_root_file_create(int dir_fd, struct root_provider **ret_provider)
{
	struct root_tpm2_options options = {.tcti = tap.tcti};

	return root_tpm2_create(dir_fd, &options, ret_provider);
}

int __wrap_root_file_open(int dir_fd, bool adopt, struct root_provider **ret_provider)
{
	struct root_tpm2_options options = {.tcti = NULL};

	return root_tpm2_open(dir_fd, &options, ret_provider);
}

struct erasure_fixture {
	struct vault_fixture vault;
	vault_fixture_id alice, bob;
	struct root_record old;
};

/* The records in the slots; and how many there are. */
static unsigned slots(struct erasure_fixture *s, struct root_record ret_records[static ROOT_SLOTS])
{
	struct root_provider *root = s->vault.vault->root.copies->member[0].provider;
	uint8_t image[ROOT_IMAGE_BYTES];
	unsigned n = 0;

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		assert_int_equal(root->ops->read(root, i, NULL, image), 0);
		n += root_record_decode(image, &ret_records[n]) == 0;
	}
	return n;
}

static bool holds(struct erasure_fixture *s, const uint8_t *bytes, size_t len)
{
	struct root_provider *root = s->vault.vault->root.copies->member[0].provider;
	uint8_t image[ROOT_IMAGE_BYTES];
	bool found = false;

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		assert_int_equal(root->ops->read(root, i, NULL, image), 0);
		found |= memmem(image, sizeof(image), bytes, len) != NULL;
	}
	return found;
}

static void open_scene(struct erasure_fixture *s)
{
	struct root_record records[ROOT_SLOTS];

	if (!available)
		skip();
	swtpm_open(&tpm);
	swtpm_tap_open(&tap, &tpm);
	vault_fixture_open(&s->vault);
	vault_fixture_seal(&s->vault, "alice", "alice/call", 10, 1, &s->alice);
	vault_fixture_seal(&s->vault, "bob", "bob/call", 10, 1, &s->bob);
	assert_int_equal(slots(s, records), 1);
	s->old = records[0];
	assert_true(holds(s, s->old.key, sizeof(s->old.key)));
}

static void close_scene(struct erasure_fixture *s)
{
	vault_fixture_close(&s->vault);
	swtpm_tap_close(&tap);
	swtpm_close(&tpm);
}

/* All of the erasure, or nothing of it. */
static bool check(struct erasure_fixture *s)
{
	struct root_record records[ROOT_SLOTS];
	bool destroyed = vault_fixture_state(&s->vault, s->alice) == RECORDING_DESTROYED;

	assert_int_equal(vault_fixture_state(&s->vault, s->bob), RECORDING_SEALED);
	assert_int_equal(slots(s, records), 1);
	/* One more where the new root was in place, but the old one could not be overwritten. */
	assert_in_range(records[0].epoch, s->old.epoch + destroyed, s->old.epoch + 2 * destroyed);
	assert_int_equal(vault_epoch(s->vault.vault), records[0].epoch);
	assert_int_equal(holds(s, s->old.key, sizeof(s->old.key)), !destroyed);
	return destroyed;
}

static void test_an_erasure(void **state)
{
	struct erasure_fixture s;

	open_scene(&s);
	assert_string_equal(s.vault.vault->root.copies->assurance, "virtual-tpm");
	assert_int_equal(vault_fixture_reopen(&s.vault, 0, NULL), 0);
	assert_false(check(&s));
	assert_int_equal(vault_fixture_erase(&s.vault, ERASE_ACCOUNT, s.alice), 0);
	assert_true(check(&s));
	assert_int_equal(vault_fixture_reopen(&s.vault, 0, NULL), 0);
	assert_true(check(&s));
	assert_false(swtpm_tap_saw(&tap, s.old.key, sizeof(s.old.key)));
	close_scene(&s);
}

/* Dies at the k-th read or write of an erasure, and comes back; then the keeper is started again.
 */
static bool survives(uint32_t command, unsigned k)
{
	struct erasure_fixture s;

	open_scene(&s);
	swtpm_tap_fault(&tap, command, k, 1, 0);
	int r = vault_fixture_erase(&s.vault, ERASE_ACCOUNT, s.alice);
	bool died = tpm.pid == 0;
	if (died)
		swtpm_start(&tpm);
	else
		swtpm_tap_fault(&tap, command, 0, 0, 0);
	bool destroyed = r == 0;
	assert_int_equal(vault_fixture_reopen(&s.vault, 0, NULL), 0);
	/* What was promised holds; what was not may still have been done. */
	assert_true(check(&s) || !destroyed);
	close_scene(&s);
	return died;
}

static void dies_everywhere(uint32_t command)
{
	unsigned k = 0;

	while (survives(command, k))
		assert_true(++k < OPERATIONS);
	assert_true(k > 0);
}

static void test_a_tpm_that_dies_writing(void **state)
{
	dies_everywhere(SWTPM_CC_NV_WRITE);
}

static void test_a_tpm_that_dies_reading(void **state)
{
	dies_everywhere(SWTPM_CC_NV_READ);
}

/* The whole of the keeper's directory, root.tpm2 and all: the TPM is not in it. */
static void test_a_state_put_back(void **state)
{
	char *text;
	struct erasure_fixture s;

	open_scene(&s);
	vault_fixture_shut(&s.vault);
	vault_fixture_shell(
			&s.vault, "cp -a $D/keeper $D/copy && cp -a $D/objects $D/objects.copy");
	assert_int_equal(vault_fixture_reopen(&s.vault, 0, NULL), 0);
	assert_int_equal(vault_fixture_erase(&s.vault, ERASE_ACCOUNT, s.alice), 0);
	vault_fixture_shut(&s.vault);
	vault_fixture_shell(&s.vault, "rm -r $D/keeper $D/objects && mv $D/copy $D/keeper && "
				      "mv $D/objects.copy $D/objects");
	assert_int_equal(vault_fixture_reopen(&s.vault, 0, &text), -RE_EPOCH);
	assert_non_null(strstr(text, "epoch mismatch"));
	free(text);
	close_scene(&s);
}

/* A TPM has no path to look at: it is read now and then, and found dead without any erasure. */
static void test_a_dead_tpm_is_found(void **state)
{
	struct reason reason = {""};
	struct erasure_fixture s;

	open_scene(&s);
	struct root *root = &s.vault.vault->root;
	assert_int_equal(mirrors_watch(root, &reason), 0);
	swtpm_stop(&tpm);
	assert_int_equal(mirrors_watch(root, &reason), -RE_AWAY);
	assert_non_null(strstr(reason.text, "cannot be read"));
	assert_string_not_equal(root->copies->member[0].why_away.text, "");
	assert_int_equal(vault_fixture_state(&s.vault, s.alice), RECORDING_SEALED);
	swtpm_start(&tpm);
	assert_int_equal(mirrors_watch(root, &reason), 0);
	assert_string_equal(root->copies->member[0].why_away.text, "");
	assert_int_equal(vault_fixture_erase(&s.vault, ERASE_ACCOUNT, s.alice), 0);
	assert_true(check(&s));
	close_scene(&s);
}

static int start(void **state)
{
	struct root_tpm2_options options = {.tcti = NULL};
	struct root_provider *root;

	if (sodium_init() < 0)
		return 1;
	available = root_tpm2_open(-1, &options, &root) != -EOPNOTSUPP && swtpm_available();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_an_erasure),
			cmocka_unit_test(test_a_tpm_that_dies_writing),
			cmocka_unit_test(test_a_tpm_that_dies_reading),
			cmocka_unit_test(test_a_dead_tpm_is_found),
			cmocka_unit_test(test_a_state_put_back),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
