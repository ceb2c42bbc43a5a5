/* Overwriting before the removal: what is left of a file in an open descriptor of somebody else's is
 * what was on the disk. */
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mount.h>

#include "daemon/intake/source/source.h"
#include "tests/unit/support/spool_fixture.h"

enum { BYTES = 300 * 1000 + 7 };

static struct spool_fixture folder;
static uint8_t mark[BYTES];

/* A tmpfs of its own, where the filesystem below /tmp is not written in place. */
static bool mounted;

static int setup(void **state)
{
	spool_fixture_make(&folder);
	randombytes_buf(mark, sizeof(mark));
	mounted = false;
	if (source_wipe_helps(folder.fd))
		return 0;
	mounted = mount("tmpfs", folder.path, "tmpfs", 0, "size=8m") == 0;
	close(folder.fd);
	folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	if (mounted)
		umount2(folder.path, MNT_DETACH);
	spool_fixture_remove(&folder);
	return 0;
}

/* Found and claimed, and to be wiped if `wipe`. */
static void claim(struct source *source, bool wipe)
{
	put_bytes(&folder, "call.wav", mark, sizeof(mark));
	assert_int_equal(source_find(folder.fd, "call.wav", source), 0);
	int r = source_claim(source);
	assert_true(r == 0 || r == SOURCE_UNLEASED);
	source->wipe = wipe;
}

/* What is in the removed file's blocks, by a descriptor that the test has kept. */
static bool is_left(int fd)
{
	static uint8_t bytes[BYTES];
	size_t n;

	assert_int_equal(io_pread_full(fd, bytes, sizeof(bytes), 0, &n), 0);
	assert_int_equal(n, sizeof(bytes));
	for (size_t at = 0; at + 64 <= sizeof(bytes); at += 64) {
		if (memcmp(bytes + at, mark + at, 64) == 0)
			return true;
	}
	return false;
}

static void it_is_overwritten_to_its_last_byte(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	if (!source_wipe_helps(folder.fd))
		skip();
	claim(&source, true);
	assert_int_equal(source_unlink(&source), 0);
	assert_int_equal(source.wiped, WIPE_DONE);
	assert_false(is_there(&folder, "call.wav"));
	assert_true(spool_is_empty(&folder));
	assert_false(is_left(source.fd)); /* it is open for reading and writing now */
}

/* The control. */
static void it_is_not_unless_it_is_wanted(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	claim(&source, false);
	assert_int_equal(source_unlink(&source), 0);
	assert_int_equal(source.wiped, WIPE_NOT_ASKED);
	assert_true(is_left(source.fd));
}

static void what_changed_is_neither_overwritten_nor_removed(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	claim(&source, true);
	source_release(&source);
	put_bytes(&folder, "call.wav", "more", 4);
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	assert_true(is_there(&folder, "call.wav"));
	assert_true(is_left(source.fd));
}

static void another_file_under_its_name_is_left_alone(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	claim(&source, true);
	assert_int_equal(renameat(folder.fd, "call.wav", folder.fd, "mine"), 0);
	put_bytes(&folder, "call.wav", mark, sizeof(mark));
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	_cleanup_close_ int other = openat(folder.fd, "call.wav", O_RDONLY | O_CLOEXEC);
	assert_true(is_left(other));
	assert_true(is_left(source.fd));
}

/* A backup, say. It keeps what it has read, and the file goes. */
static void a_reader_does_not_stop_the_removal(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	if (!leases_work(&folder) || !source_wipe_helps(folder.fd))
		skip();
	claim(&source, true);
	_cleanup_close_ int reader = openat(folder.fd, "call.wav", O_RDONLY | O_CLOEXEC);
	assert_int_equal(source_unlink(&source), 0);
	assert_int_equal(source.wiped, WIPE_IN_USE);
	assert_true(spool_is_empty(&folder));
	assert_true(is_left(reader));
}

static void what_may_not_be_written_to_is_removed(void **state)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;

	if (geteuid() != 0 || !source_wipe_helps(folder.fd))
		skip();
	claim(&source, true);
	assert_int_equal(fchmodat(folder.fd, ".", 0777, 0), 0);
	source_release(&source);
	assert_int_equal(fchmodat(folder.fd, "call.wav", 0444, 0), 0);
	source_close(&source);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(source_find(folder.fd, "call.wav", &source), 0);
	int r = source_claim(&source);
	source.wipe = true;
	int removed = source_unlink(&source);
	assert_int_equal(seteuid(0), 0);
	assert_true(r == 0 || r == SOURCE_UNLEASED);
	assert_int_equal(removed, 0);
	assert_int_equal(source.wiped, WIPE_DENIED);
	assert_true(spool_is_empty(&folder));
}

#define in_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_spool(it_is_overwritten_to_its_last_byte),
			in_spool(it_is_not_unless_it_is_wanted),
			in_spool(what_changed_is_neither_overwritten_nor_removed),
			in_spool(another_file_under_its_name_is_left_alone),
			in_spool(a_reader_does_not_stop_the_removal),
			in_spool(what_may_not_be_written_to_is_removed),
	};

	/* A lease that is broken sends it. */
	signal(SIGIO, SIG_IGN);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
