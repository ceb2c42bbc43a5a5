/* The removal of a sealed recording: whatever happens meanwhile, and wherever it is cut off,
 * another file of its name is not lost, and it is known again. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>

#include "daemon/intake/source/aside.h"
#include "daemon/intake/source/origin.h"
#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/scan.h"
#include "tests/unit/support/spool_fixture.h"

static struct spool_fixture spool;

/* What happens between the last check of a name and its removal, and how that fails. */
static void (*before_rename)(void);
static void (*before_putting_back)(void);
static int rename_fails, unlink_fails;

int __real_durable_rename_at_once(int dir_fd, const char *from, const char *to);
int __real_durable_unlink(int dir_fd, const char *name);
int __wrap_durable_rename_at_once(int dir_fd, const char *from, const char *to);
int __wrap_durable_unlink(int dir_fd, const char *name);

int __wrap_durable_rename_at_once(int dir_fd, const char *from, const char *to)
{
	void (*meanwhile)(void) = before_rename ? before_rename : before_putting_back;

	if (before_rename)
		before_rename = NULL;
	else
		before_putting_back = NULL;
	if (meanwhile)
		meanwhile();
	return rename_fails ? rename_fails : __real_durable_rename_at_once(dir_fd, from, to);
}

int __wrap_durable_unlink(int dir_fd, const char *name)
{
	return unlink_fails ? unlink_fails : __real_durable_unlink(dir_fd, name);
}

static int setup(void **state)
{
	before_rename = before_putting_back = NULL;
	rename_fails = unlink_fails = 0;
	spool_fixture_make(&spool);
	return 0;
}

static int teardown(void **state)
{
	spool_fixture_remove(&spool);
	return 0;
}

/* Finds and claims; whether with a lease depends on the filesystem. */
static void claim(const char *path, struct source *ret_source)
{
	assert_int_equal(source_find(spool.fd, path, ret_source), 0);
	int r = source_claim(ret_source);
	assert_true(r == 0 || r == SOURCE_UNLEASED);
}

struct walked {
	char files[8][300];
	size_t n_files, n_directories;
	unsigned refused[SOURCE_OUTCOMES];
};

static void on_directory(void *context, const char *path, int fd)
{
	struct walked *walked = context;

	walked->n_directories++;
}

static void on_file(void *context, const char *path, const struct stat *st)
{
	struct walked *walked = context;

	assert_true(walked->n_files < ELEMENTSOF(walked->files));
	snprintf(walked->files[walked->n_files++], 300, "%s", path);
}

static void on_refused(
		void *context, const char *path, const struct stat *st, enum source_outcome why)
{
	struct walked *walked = context;

	walked->refused[why]++;
}

/* What a scan finds in the spool. */
static struct walked walk(void)
{
	struct walked walked = {0};
	const struct scan_sink sink = {.directory = on_directory,
			.file = on_file,
			.refused = on_refused,
			.context = &walked};
	struct scan *scan;

	assert_int_equal(scan_start(spool.fd, "", &sink, &scan), 0);
	assert_int_equal(scan_step(scan, 1000), 0);
	scan_free(scan);
	return walked;
}

/* ---- A new recording that gets the name in the very moment of the removal ---- */

static void another_recording_comes(void)
{
	put_text(&spool, ".coming", "another");
	assert_int_equal(renameat(spool.fd, ".coming", spool.fd, "call"), 0);
}

static void a_third_recording_comes(void)
{
	put_text(&spool, "call", "a third");
}

static void a_link_comes(void)
{
	assert_int_equal(linkat(spool.fd, "call", spool.fd, "second", 0), 0);
}

static void assert_text(const char *path, const char *expected)
{
	_cleanup_close_ int fd = openat(spool.fd, path, O_RDONLY | O_CLOEXEC);
	char text[32] = {0};
	size_t len;

	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, text, sizeof(text) - 1, 0, &len), 0);
	assert_string_equal(text, expected);
}

static void another_recording_survives_the_removal(void **state)
{
	struct source source = SOURCE_NONE;

	put_text(&spool, "call", "sealed");
	claim("call", &source);
	before_rename = another_recording_comes;
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	source_close(&source);
	assert_text("call", "another");
	assert_int_equal(walk().n_files, 1);
}

/* The control: without the private name the harness loses the other recording. */
static void the_harness_loses_what_is_removed_by_name(void **state)
{
	struct source source = SOURCE_NONE;

	put_text(&spool, "call", "sealed");
	claim("call", &source);
	before_rename = another_recording_comes;
	rename_fails = -EINVAL; /* of a filesystem without the flag */
	assert_int_equal(source_unlink(&source), 0);
	source_close(&source);
	assert_false(is_there(&spool, "call"));
}

static void a_name_taken_twice_loses_neither(void **state)
{
	struct source source = SOURCE_NONE;

	put_text(&spool, "call", "sealed");
	claim("call", &source);
	before_rename = another_recording_comes;
	before_putting_back = a_third_recording_comes;
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	source_close(&source);
	assert_text("call", "a third");
	/* The other one waits for a scan under a private name that tells its own. */
	struct walked walked = walk();
	struct aside aside;
	assert_int_equal(walked.n_files, 2);
	const char *left = walked.files[strcmp(walked.files[0], "call") == 0];
	assert_true(aside_read(left, &aside));
	assert_string_equal(aside.name, "call");
	assert_text(left, "another");
	claim(left, &source);
	assert_int_equal(source_unlink(&source), 0);
	source_close(&source);
	assert_int_equal(walk().n_files, 1);
}

static void a_link_made_during_the_removal_keeps_the_file(void **state)
{
	struct source source = SOURCE_NONE;

	put_text(&spool, "call", "sealed");
	claim("call", &source);
	before_rename = a_link_comes;
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	source_close(&source);
	assert_text("call", "sealed");
	assert_text("second", "sealed");
}

static void rename_failures_do_not_keep_the_plaintext(void **state)
{
	static const int failures[] = {-EINVAL, -ENOSYS, -ENOSPC, -EDQUOT, -ENAMETOOLONG, -EEXIST};

	for (size_t i = 0; i < ELEMENTSOF(failures); i++) {
		struct source source = SOURCE_NONE;
		put_text(&spool, "call", "sealed");
		claim("call", &source);
		rename_fails = failures[i];
		assert_int_equal(source_unlink(&source), 0);
		source_close(&source);
		assert_false(is_there(&spool, "call"));
	}
}

static void hash_of(const struct source *source, uint8_t ret_hash[static ORIGIN_HASH_BYTES])
{
	struct origin origin;

	assert_int_equal(origin_find(source->fd, &origin), 0);
	origin_hash(&origin, "spool", ret_hash);
}

/* Died, or could not, between rename and removal: known again by its origin, its path as before. */
static void what_was_left_aside_is_known_again(void **state)
{
	static char longest[256];
	static const char *const names[] = {"call", "new\nline", ".recseal-", longest};
	uint8_t hash[ORIGIN_HASH_BYTES], other[ORIGIN_HASH_BYTES];
	char path[300], buf[PATH_MAX];

	memset(longest, 'n', 255);
	longest[254] = 'm';
	put_directory(&spool, "account");
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		struct source source = SOURCE_NONE;
		snprintf(path, sizeof(path), "account/%s", names[i]);
		put_text(&spool, path, "sealed");
		claim(path, &source);
		hash_of(&source, hash);
		unlink_fails = -EIO;
		assert_int_equal(source_unlink(&source), -EIO);
		source_close(&source);
		assert_false(is_there(&spool, path));
		struct walked walked = walk();
		assert_int_equal(walked.n_files, 1);
		claim(walked.files[0], &source);
		hash_of(&source, other);
		assert_memory_equal(hash, other, sizeof(hash));
		if (strlen(names[i]) < 200)
			assert_string_equal(aside_path(walked.files[0], buf), path);
		else
			assert_string_equal(aside_path(walked.files[0], buf) + 8, longest + 43);
		unlink_fails = 0;
		assert_int_equal(source_unlink(&source), 0);
		source_close(&source);
		assert_int_equal(walk().n_files, 0);
	}
}

static void only_private_names_are_taken_for_such(void **state)
{
	static const char *const others[] = {"", "call", ".recseal-", ".recseal-0123456789abcdef",
			".recseal-0123456789abcdef-0123456789abcdef",
			".recseal-0123456789abcdef-0123456789abcdef-",
			".recseal-0123456789abcdef-0123456789ABCDEF-x",
			".recseal-0123456789abcdef_0123456789abcdef-x",
			".recseal-0123456789abcde-0123456789abcdef-x",
			"recseal-0123456789abcdef-0123456789abcdef-x"};
	struct aside aside;
	char buf[PATH_MAX];

	for (size_t i = 0; i < ELEMENTSOF(others); i++) {
		assert_false(aside_read(others[i], &aside));
		assert_ptr_equal(aside_path(others[i], buf), others[i]);
	}
	assert_true(aside_read(".recseal-0123456789abcdef-ffffffffffffffff-x", &aside));
	assert_string_equal(aside.name, "x");
	/* A directory, a link or a pipe of such a name is none. */
	put_directory(&spool, ".recseal-0123456789abcdef-0123456789abcdef-d");
	put_text(&spool, ".recseal-0123456789abcdef-0123456789abcdef-d/f", "x");
	assert_int_equal(symlinkat("/etc/passwd", spool.fd,
					 ".recseal-0123456789abcdef-0123456789abcdef-l"),
			0);
	struct walked walked = walk();
	assert_int_equal(walked.n_files, 0);
	assert_int_equal(walked.n_directories, 1);
	assert_int_equal(walked.refused[SOURCE_SYMLINK], 1);
}

#define in_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_spool(another_recording_survives_the_removal),
			in_spool(the_harness_loses_what_is_removed_by_name),
			in_spool(a_name_taken_twice_loses_neither),
			in_spool(a_link_made_during_the_removal_keeps_the_file),
			in_spool(rename_failures_do_not_keep_the_plaintext),
			in_spool(what_was_left_aside_is_known_again),
			in_spool(only_private_names_are_taken_for_such),
	};

	/* A lease that is broken sends it. */
	signal(SIGIO, SIG_IGN);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
