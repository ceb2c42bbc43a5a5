/* Root slots in a TPM, a software one: what goes in and out, and what may happen to it. */
#include "tests/unit/storage/tpm2/tpm2_fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define RC_NV_RATE  0x920
#define RC_LOCKOUT  0x921
#define RC_RETRY    0x922
#define RC_YIELDED  0x908
#define RC_NV_SPACE 0x14b

static void test_what_is_written_is_read(void **state)
{
	uint8_t a[ROOT_IMAGE_BYTES], b[ROOT_IMAGE_BYTES];
	struct stat st;
	struct erasure_fixture s;

	open_scene(state, &s);
	assert_string_equal(s.root->assurance, "virtual-tpm");
	assert_slot(&s, 0, zeros);
	assert_slot(&s, 1, zeros);
	random_image(a);
	random_image(b);
	assert_int_equal(put(&s, 0, a), 0);
	assert_slot(&s, 1, zeros);
	assert_int_equal(put(&s, 1, b), 0);
	assert_slot(&s, 0, a);
	assert_slot(&s, 1, b);
	assert_int_equal(root_tpm2_writes(s.root), 4);
	assert_string_equal(s.reason.text, "");
	assert_int_equal(fstatat(s.folder->fd, "root.tpm2", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, a);
	assert_slot(&s, 1, b);
	assert_int_equal(root_tpm2_writes(s.root), 4);
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), -EEXIST);
	assert_int_equal(reopen(&s, s.tpm.tcti, 0, false), 0); /* another way to the same TPM */
	assert_slot(&s, 0, a);
	close_scene(&s);
}

/* Neither slot, nor the TPM's own state on its disk, keeps what was overwritten. */
static void test_overwriting_leaves_nothing(void **state)
{
	uint8_t a[ROOT_IMAGE_BYTES], b[ROOT_IMAGE_BYTES], back[ROOT_IMAGE_BYTES];
	struct erasure_fixture s;

	open_scene(state, &s);
	random_image(a);
	random_image(b);
	for (unsigned slot = 0; slot < ROOT_SLOTS; slot++) {
		assert_int_equal(put(&s, slot, a), 0);
		assert_int_equal(put(&s, slot, b), 0);
		assert_slot(&s, slot, b);
		assert_int_equal(get(&s, 1 - slot, back), 0);
		for (size_t i = 0; i + 8 <= sizeof(a); i++)
			assert_null(memmem(back, sizeof(back), a + i, 8));
	}
	close_scene(&s);
}

static void test_a_restarted_tpm(void **state)
{
	uint8_t a[ROOT_IMAGE_BYTES], b[ROOT_IMAGE_BYTES];
	struct erasure_fixture s;

	open_scene(state, &s);
	random_image(a);
	random_image(b);
	assert_int_equal(put(&s, 0, a), 0);
	swtpm_stop(&s.tpm);
	swtpm_start(&s.tpm);
	assert_slot(&s, 0, a); /* on the session it has forgotten */
	swtpm_stop(&s.tpm);
	swtpm_start(&s.tpm);
	assert_int_equal(put(&s, 1, b), 0);
	swtpm_stop(&s.tpm);
	swtpm_start(&s.tpm);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, a);
	assert_slot(&s, 1, b);
	close_scene(&s);
}

/* Killed with a session open, more often than a TPM has room for. No tap: its connections would be
 * the children's too. */
static void test_killed_processes(void **state)
{
	struct erasure_fixture s = {.folder = *state};
	int status;

	if (!available)
		skip();
	swtpm_open(&s.tpm);
	assert_int_equal(reopen(&s, s.tpm.tcti, 0, true), 0);
	s.root = root_provider_free(s.root);
	for (int i = 0; i < 7; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(reopen(&s, NULL, 0, false) != 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, zeros);
	root_provider_free(s.root);
	swtpm_close(&s.tpm);
}

static void test_a_tpm_that_goes_away(void **state)
{
	uint8_t a[ROOT_IMAGE_BYTES], b[ROOT_IMAGE_BYTES], back[ROOT_IMAGE_BYTES];
	struct erasure_fixture s;

	open_scene(state, &s);
	random_image(a);
	random_image(b);
	assert_int_equal(put(&s, 0, a), 0);
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_WRITE, 0, 1, 0);
	assert_int_equal(put(&s, 0, b), -ENODEV);
	assert_int_equal(s.tpm.pid, 0);
	assert_true(strlen(s.reason.text) > 10);
	assert_int_equal(get(&s, 0, back), -ENODEV);
	assert_int_equal(put(&s, 0, b), -ENODEV);
	swtpm_start(&s.tpm);
	assert_slot(&s, 0, a);
	assert_int_equal(put(&s, 0, b), 0);
	assert_string_equal(s.reason.text, "");
	assert_slot(&s, 0, b);
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_READ, 0, 1, 0);
	assert_int_equal(get(&s, 0, back), -ENODEV);
	assert_int_equal(reopen(&s, NULL, 0, false), -ENODEV);
	assert_non_null(strstr(s.reason.text, "TPM"));
	swtpm_start(&s.tpm);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, b);
	close_scene(&s);
}

/* The TPM says no, in all the ways that pass. */
static void test_a_busy_tpm(void **state)
{
	static const uint32_t busy[] = {RC_NV_RATE, RC_RETRY, RC_YIELDED};
	uint8_t image[ROOT_IMAGE_BYTES];
	struct erasure_fixture s;

	open_scene(state, &s);
	for (size_t i = 0; i < ELEMENTSOF(busy); i++) {
		random_image(image);
		swtpm_tap_fault(&s.tap, SWTPM_CC_NV_WRITE, 0, 9, busy[i]);
		assert_int_equal(put(&s, 0, image), 0);
		swtpm_tap_fault(&s.tap, SWTPM_CC_NV_READ, 0, 2, busy[i]);
		assert_slot(&s, 0, image);
	}
	assert_int_equal(reopen(&s, NULL, 200, false), 0);
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_WRITE, 0, 1000000, RC_NV_RATE);
	assert_int_equal(put(&s, 0, image), -EBUSY);
	assert_non_null(strstr(s.reason.text, "rate"));
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_WRITE, 0, 0, RC_NV_RATE);
	assert_int_equal(put(&s, 0, image), 0);
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_READ, 0, 1, RC_LOCKOUT);
	assert_int_equal(get(&s, 0, image), -EPERM);
	assert_non_null(strstr(s.reason.text, "lockout"));
	assert_slot(&s, 0, image);
	close_scene(&s);
}

/* A damaged authorisation value in root.tpm2, with a checksum that is right. */
static void spoil_auth(struct erasure_fixture *s, struct root_tpm2_locator *place, unsigned slot)
{
	uint64_t writes;
	int fd;

	assert_int_equal(root_tpm2_locator_read(s->folder->fd, place, &fd, &writes), 0);
	close(fd);
	place->auth[slot][3] ^= 1;
	assert_int_equal(root_tpm2_locator_remove(s->folder->fd), 0);
	assert_int_equal(root_tpm2_locator_create(s->folder->fd, place), 0);
}

static void test_a_wrong_authorisation(void **state)
{
	uint8_t a[ROOT_IMAGE_BYTES], back[ROOT_IMAGE_BYTES];
	struct root_tpm2_locator place;
	struct erasure_fixture s;

	open_scene(state, &s);
	random_image(a);
	assert_int_equal(put(&s, 0, a), 0);
	assert_int_equal(put(&s, 1, a), 0);
	spoil_auth(&s, &place, 1);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, a);
	/* Far more often than a TPM forgives where guessing counts. */
	for (int i = 0; i < 40; i++) {
		memset(back, 7, sizeof(back));
		assert_int_equal(get(&s, 1, back), -EKEYREJECTED);
		assert_int_equal(back[0], 7);
	}
	assert_int_equal(put(&s, 1, a), -EKEYREJECTED);
	assert_slot(&s, 0, a);
	assert_int_equal(removed(&s, NULL), -EKEYREJECTED);
	spoil_auth(&s, &place, 1);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 1, a);
	close_scene(&s);
}

static void test_a_tpm_with_a_small_buffer(void **state)
{
	uint8_t a[ROOT_IMAGE_BYTES];
	struct erasure_fixture s;

	open_scene(state, &s);
	random_image(a);
	s.tap.buffer_max = 50;
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	unsigned before = swtpm_tap_count(&s.tap, SWTPM_CC_NV_WRITE);
	assert_int_equal(put(&s, 0, a), 0);
	assert_int_equal(swtpm_tap_count(&s.tap, SWTPM_CC_NV_WRITE) - before, 4);
	assert_int_equal(root_tpm2_writes(s.root), 6);
	before = swtpm_tap_count(&s.tap, SWTPM_CC_NV_READ);
	assert_slot(&s, 0, a);
	assert_int_equal(swtpm_tap_count(&s.tap, SWTPM_CC_NV_READ) - before, 4);
	s.tap.buffer_max = 0;
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, a);
	assert_slot(&s, 1, zeros);
	close_scene(&s);
}

static unsigned count_indices(struct erasure_fixture *s)
{
	/* Of what the TPM is told to list, the tap has the answer: count by its size. */
	static const uint8_t list[] = {0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0, 0, 0, 1, 1, 0x80, 0,
			0, 0, 0, 0, 64};
	size_t before = s->tap.log_bytes;
	assert_int_equal(swtpm_command(s->tap.port, list, sizeof(list)), 0);
	return (unsigned)((s->tap.log_bytes - before - sizeof(list) - 19) / 4);
}

static void test_removing(void **state)
{
	struct root_tpm2_locator place;
	struct erasure_fixture s;

	open_scene(state, &s);
	assert_int_equal(count_indices(&s), 2);
	spoil_auth(&s, &place, 0); /* as if somebody else had an index there */
	assert_int_equal(removed(&s, NULL), -EKEYREJECTED);
	assert_int_equal(count_indices(&s), 2);
	spoil_auth(&s, &place, 0);
	assert_int_equal(removed(&s, NULL), 0);
	assert_int_equal(count_indices(&s), 0);
	assert_int_equal(entries(s.folder, false), 0);
	assert_int_equal(removed(&s, NULL), 0);
	assert_int_equal(reopen(&s, NULL, 0, false), -ENOENT);
	assert_int_equal(root_tpm2_locator_create(s.folder->fd, &place), 0);
	assert_int_equal(reopen(&s, NULL, 0, false), -RE_NO_ROOT);
	assert_int_equal(removed(&s, NULL), 0);
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), 0);
	assert_int_equal(count_indices(&s), 2);
	close_scene(&s);
}

static void test_a_failed_creation_leaves_nothing(void **state)
{
	struct erasure_fixture s;

	open_scene(state, &s);
	assert_int_equal(removed(&s, NULL), 0);
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_DEFINE, 0, 1, RC_NV_SPACE);
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), -ENOSPC);
	assert_int_equal(entries(s.folder, false), 0);
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_WRITE, 0, 1, 0x101); /* TPM_RC_FAILURE */
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), -EIO);
	assert_int_equal(entries(s.folder, false), 0);
	assert_int_equal(count_indices(&s), 0);
	/* Killed: what is left is cleared up when the TPM is back. */
	swtpm_tap_fault(&s.tap, SWTPM_CC_NV_WRITE, 0, 1, 0);
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), -ENODEV);
	swtpm_start(&s.tpm);
	assert_int_equal(removed(&s, NULL), 0);
	assert_int_equal(count_indices(&s), 0);
	assert_int_equal(reopen(&s, s.tap.tcti, 0, true), 0);
	assert_slot(&s, 0, zeros);
	close_scene(&s);
}

static void test_another_tpm(void **state)
{
	struct swtpm other;
	struct erasure_fixture s;

	open_scene(state, &s);
	swtpm_open(&other);
	assert_int_equal(reopen(&s, other.tcti, 0, false), -RE_MOVED);
	assert_non_null(strstr(s.reason.text, "not the TPM"));
	assert_int_equal(removed(&s, other.tcti), -RE_MOVED);
	assert_int_equal(reopen(&s, NULL, 0, false), 0);
	assert_slot(&s, 0, zeros);
	swtpm_close(&other);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_folder(test_what_is_written_is_read),
			in_folder(test_overwriting_leaves_nothing),
			in_folder(test_a_restarted_tpm),
			in_folder(test_killed_processes),
			in_folder(test_a_tpm_that_goes_away),
			in_folder(test_a_busy_tpm),
			in_folder(test_a_wrong_authorisation),
			in_folder(test_a_tpm_with_a_small_buffer),
			in_folder(test_removing),
			in_folder(test_a_failed_creation_leaves_nothing),
			in_folder(test_another_tpm),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
