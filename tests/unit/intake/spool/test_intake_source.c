/* Files of a spool: none can trick the intake by its name, its kind, or by changing. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>

#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/scan.h"
#include "tests/unit/support/spool_fixture.h"

static struct spool_fixture spool;

static int setup(void **state)
{
	spool_fixture_make(&spool);
	return 0;
}

static int teardown(void **state)
{
	spool_fixture_remove(&spool);
	return 0;
}

/* Finds, and closes: for outcomes. */
static int find(const char *path)
{
	struct source source = SOURCE_NONE;
	int r = source_find(spool.fd, path, &source);

	source_close(&source);
	return r;
}

/* Finds and claims; whether with a lease depends on the filesystem. */
static void claim(const char *path, struct source *ret_source)
{
	assert_int_equal(source_find(spool.fd, path, ret_source), 0);
	int r = source_claim(ret_source);
	assert_true(r == 0 || r == SOURCE_UNLEASED);
}

static void ordinary_files_are_read_whatever_their_name(void **state)
{
	char longest[256], path[300];
	const char *names[] = {
			"a.wav", "new\nline", "\xff\xfe not utf-8", "-rf", "a b\\c", longest};

	memset(longest, 'n', 255);
	longest[255] = '\0';
	put_directory(&spool, "account");
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		struct source source = SOURCE_NONE;
		char text[8] = {0};
		size_t len;
		snprintf(path, sizeof(path), "account/%s", names[i]);
		put_text(&spool, path, "audio");
		claim(path, &source);
		assert_int_equal(io_pread_full(source.fd, text, sizeof(text), 0, &len), 0);
		assert_string_equal(text, "audio");
		assert_int_equal(source.identity.size, 5);
		assert_int_equal(source_unlink(&source), 0);
		assert_false(is_there(&spool, path));
		source_close(&source);
	}
}

static void what_is_no_recording_is_refused(void **state)
{
	put_text(&spool, "file", "audio");
	assert_int_equal(symlinkat("file", spool.fd, "symlink"), 0);
	assert_int_equal(mkfifoat(spool.fd, "fifo", 0600), 0);
	put_text(&spool, "one", "audio");
	assert_int_equal(linkat(spool.fd, "one", spool.fd, "two", 0), 0);
	put_directory(&spool, "directory");
	put_text(&spool, "empty", "");

	assert_int_equal(find("file"), 0);
	assert_int_equal(find("symlink"), SOURCE_SYMLINK);
	assert_int_equal(find("fifo"), SOURCE_SPECIAL); /* and did not block */
	assert_int_equal(find("one"), SOURCE_HARD_LINK);
	assert_int_equal(find("two"), SOURCE_HARD_LINK);
	assert_int_equal(find("directory"), SOURCE_SPECIAL);
	assert_int_equal(find("empty"), SOURCE_EMPTY);
	assert_int_equal(find("missing"), SOURCE_GONE);
	assert_int_equal(find("file/below"), SOURCE_GONE);
}

static void sockets_and_devices_are_refused(void **state)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", spool.path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(find("socket"), SOURCE_SPECIAL);
	if (mknodat(spool.fd, "device", S_IFCHR | 0600, makedev(1, 3)) == 0) /* only root may */
		assert_int_equal(find("device"), SOURCE_SPECIAL);
}

static void paths_do_not_leave_the_spool(void **state)
{
	put_directory(&spool, "account");
	put_text(&spool, "account/file", "audio");
	assert_int_equal(symlinkat("account", spool.fd, "alias"), 0);
	assert_int_equal(symlinkat("/etc", spool.fd, "out"), 0);
	assert_int_equal(symlinkat("/proc/self/root", spool.fd, "magic"), 0);

	assert_int_equal(find("account/file"), 0);
	assert_int_equal(find("alias/file"), SOURCE_GONE);
	assert_int_equal(find("out/passwd"), SOURCE_GONE);
	assert_int_equal(find("magic/etc/passwd"), SOURCE_GONE);
	assert_int_equal(find("../etc/passwd"), SOURCE_GONE);
	assert_int_equal(find("account/../../etc/passwd"), SOURCE_GONE);
	assert_int_equal(find("/etc/passwd"), SOURCE_GONE);
}

static void unreadable_is_refused(void **state)
{
	if (geteuid() == 0)
		skip();
	put_text(&spool, "file", "audio");
	assert_int_equal(fchmodat(spool.fd, "file", 0, 0), 0);
	struct source source = SOURCE_NONE;
	assert_int_equal(source_find(spool.fd, "file", &source), 0);
	assert_int_equal(source_claim(&source), SOURCE_UNREADABLE);
	source_close(&source);
}

static void a_writer_keeps_the_file(void **state)
{
	struct source source = SOURCE_NONE;

	if (!leases_work(&spool))
		skip();
	put_text(&spool, "file", "audio");
	int writer = openat(spool.fd, "file", O_WRONLY | O_CLOEXEC);
	assert_int_equal(source_find(spool.fd, "file", &source), 0);
	assert_int_equal(source_claim(&source), SOURCE_WRITER);
	source_close(&source);
	close(writer);
	assert_int_equal(source_find(spool.fd, "file", &source), 0);
	assert_int_equal(source_claim(&source), 0);
	assert_false(source_wanted(&source));
	/* Non-blocking, so that it does not wait for us here. */
	assert_int_equal(openat(spool.fd, "file", O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_true(source_wanted(&source));
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	source_yield(&source);
	writer = openat(spool.fd, "file", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(writer >= 0);
	close(writer);
	/* The writer came and went, and the file looks as before: even so. */
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	assert_true(is_there(&spool, "file"));
	source_close(&source);
}

/* A descriptor that somebody else has a duplicate of must not keep the lease. */
static void release_frees_the_writer_even_with_a_duplicate(void **state)
{
	struct source source = SOURCE_NONE;

	if (!leases_work(&spool))
		skip();
	put_text(&spool, "file", "audio");
	claim("file", &source);
	int probes = fcntl(source.fd, F_DUPFD_CLOEXEC, 0);
	source_close(&source);
	int writer = openat(spool.fd, "file", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(writer >= 0);
	close(writer);
	close(probes);
}

static void changed_between_find_and_claim(void **state)
{
	struct source source = SOURCE_NONE;

	put_text(&spool, "file", "audio");
	assert_int_equal(source_find(spool.fd, "file", &source), 0);
	put_text(&spool, "file", "more");
	assert_int_equal(source_claim(&source), SOURCE_CHANGED);
	source_close(&source);
}

static void unlink_refuses_what_changed(void **state)
{
	static const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct source source = SOURCE_NONE;

	put_text(&spool, "linked", "audio");
	claim("linked", &source);
	assert_int_equal(linkat(spool.fd, "linked", spool.fd, "second", 0), 0);
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	source_close(&source);

	put_text(&spool, "touched", "audio");
	claim("touched", &source);
	assert_int_equal(utimensat(spool.fd, "touched", times, 0), 0);
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	source_close(&source);
	assert_true(is_there(&spool, "linked") && is_there(&spool, "touched"));
}

static void unlink_refuses_another_file_under_the_name(void **state)
{
	struct source source = SOURCE_NONE;

	put_text(&spool, "file", "audio");
	put_text(&spool, "other", "AUDIO");
	claim("file", &source);
	assert_int_equal(renameat(spool.fd, "other", spool.fd, "file"), 0);
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	assert_true(is_there(&spool, "file"));
	assert_int_equal(unlinkat(spool.fd, "file", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", spool.fd, "file"), 0);
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	assert_int_equal(unlinkat(spool.fd, "file", 0), 0);
	assert_int_equal(source_unlink(&source), SOURCE_GONE);
	source_close(&source);
	/* Renamed, it is not gone: it must be found again, not reported as removed. */
	put_text(&spool, "before", "audio");
	claim("before", &source);
	assert_int_equal(renameat(spool.fd, "before", spool.fd, "after"), 0);
	assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
	assert_true(is_there(&spool, "after"));
	source_close(&source);
}

/* ---- The walk ---- */

struct walked {
	char files[64][300];
	size_t n_files, n_directories;
	unsigned refused[SOURCE_OUTCOMES];
};

static void on_directory(void *context, const char *path, int fd)
{
	struct walked *walked = context;

	assert_true(fd >= 0);
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

	assert_true(st->st_ino != 0);
	walked->refused[why]++;
}

static struct walked walk(const char *below, unsigned entries_per_step)
{
	struct walked walked = {0};
	const struct scan_sink sink = {.directory = on_directory,
			.file = on_file,
			.refused = on_refused,
			.context = &walked};
	struct scan *scan;

	assert_int_equal(scan_start(spool.fd, below, &sink, &scan), 0);
	while (scan_step(scan, entries_per_step) == SCAN_MORE)
		;
	scan_free(scan);
	return walked;
}

static bool walked_file(const struct walked *walked, const char *path)
{
	for (size_t i = 0; i < walked->n_files; i++) {
		if (strcmp(walked->files[i], path) == 0)
			return true;
	}
	return false;
}

static void the_walk_finds_what_may_be_sealed(void **state)
{
	put_text(&spool, "top", "x");
	put_directory(&spool, "acme.tmp");
	put_directory(&spool, "acme.tmp/2026");
	put_text(&spool, "acme.tmp/2026/call.wav", "x");
	put_text(&spool, "acme.tmp/copying.tmp", "x");
	put_text(&spool, "acme.tmp/copying.part", "x");
	put_text(&spool, "acme.tmp/.hidden", "x");
	put_text(&spool, "acme.tmp/empty", "");
	put_directory(&spool, ".hidden");
	put_text(&spool, ".hidden/file", "x");
	put_text(&spool, ".tmp", "x");
	assert_int_equal(symlinkat("/etc", spool.fd, "etc"), 0);
	assert_int_equal(mkfifoat(spool.fd, "fifo", 0600), 0);
	put_text(&spool, "one", "x");
	assert_int_equal(linkat(spool.fd, "one", spool.fd, "two", 0), 0);

	for (unsigned step = 1; step < 20; step += 6) {
		struct walked walked = walk("", step);
		assert_int_equal(walked.n_files, 2);
		assert_true(walked_file(&walked, "top"));
		assert_true(walked_file(&walked, "acme.tmp/2026/call.wav"));
		assert_int_equal(walked.n_directories, 3);
		assert_int_equal(walked.refused[SOURCE_SYMLINK], 1);
		assert_int_equal(walked.refused[SOURCE_SPECIAL], 1);
		assert_int_equal(walked.refused[SOURCE_HARD_LINK], 2);
	}
	struct walked below = walk("acme.tmp", 100);
	assert_int_equal(below.n_files, 1);
	assert_true(walked_file(&below, "acme.tmp/2026/call.wav"));
}

static void the_walk_ends_at_a_depth(void **state)
{
	char path[4 * SCAN_DEPTH_MAX] = "d";

	for (int depth = 1; depth <= SCAN_DEPTH_MAX + 3; depth++) {
		put_directory(&spool, path);
		strcat(path, "/f");
		put_text(&spool, path, "x");
		path[strlen(path) - 1] = 'd';
	}
	struct walked walked = walk("", 1000);
	assert_int_equal(walked.n_directories, SCAN_DEPTH_MAX);
	assert_int_equal(walked.n_files, SCAN_DEPTH_MAX - 1);
	assert_int_equal(walked.refused[SOURCE_TOO_DEEP], 1);
}

static void the_walk_does_not_follow_a_swapped_directory(void **state)
{
	struct walked walked = {0};
	const struct scan_sink sink = {.directory = on_directory,
			.file = on_file,
			.refused = on_refused,
			.context = &walked};
	struct scan *scan;

	assert_int_equal(symlinkat("/etc", spool.fd, "etc"), 0);
	assert_int_equal(scan_start(spool.fd, "etc", &sink, &scan), -ELOOP);
	assert_int_equal(scan_start(spool.fd, "../", &sink, &scan), -EXDEV);
	assert_int_equal(scan_start(spool.fd, "gone", &sink, &scan), -ENOENT);
	assert_int_equal(walked.n_directories, 0);
}

/* While the walk is in it, a directory becomes a link to elsewhere, and something else elsewhere:
 * what is found is what was in it, and nothing is found through the link. */
static void a_directory_swapped_during_the_walk(void **state)
{
	struct walked walked = {0};
	const struct scan_sink sink = {.directory = on_directory,
			.file = on_file,
			.refused = on_refused,
			.context = &walked};
	struct scan *scan;

	put_directory(&spool, "account");
	put_directory(&spool, "account/deeper");
	put_text(&spool, "account/one", "x");
	put_text(&spool, "account/two", "x");
	put_text(&spool, "account/deeper/three", "x");
	assert_int_equal(scan_start(spool.fd, "", &sink, &scan), 0);
	while (walked.n_directories < 2) /* until it is in account/ */
		assert_int_equal(scan_step(scan, 1), SCAN_MORE);
	assert_int_equal(renameat(spool.fd, "account", spool.fd, ".away"), 0);
	assert_int_equal(symlinkat("/etc", spool.fd, "account"), 0);
	while (scan_step(scan, 1) == SCAN_MORE)
		;
	scan_free(scan);
	assert_int_equal(walked.n_files, 3);
	assert_false(walked_file(&walked, "account/passwd"));
	for (size_t i = 0; i < walked.n_files; i++)
		assert_int_equal(find(walked.files[i]), SOURCE_GONE);
	assert_int_equal(find("account/passwd"), SOURCE_GONE);
}

/* Between the check and the opening, the name comes to mean a pipe, a link, or another file. */
static void a_name_swapped_between_check_and_opening(void **state)
{
	for (int round = 0; round < 3; round++) {
		struct source source = SOURCE_NONE;
		char text[8] = {0};
		size_t len;
		put_text(&spool, "file", "audio");
		assert_int_equal(source_find(spool.fd, "file", &source), 0);
		assert_int_equal(unlinkat(spool.fd, "file", 0), 0);
		if (round == 0)
			assert_int_equal(mkfifoat(spool.fd, "file", 0600), 0);
		else if (round == 1)
			assert_int_equal(symlinkat("/etc/passwd", spool.fd, "file"), 0);
		else
			put_text(&spool, "file", "AUDIO");
		/* What was checked is what is opened; without a name it is no recording any more.
		 */
		assert_int_equal(source_claim(&source), SOURCE_CHANGED);
		assert_int_equal(io_pread_full(source.fd, text, sizeof(text), 0, &len), 0);
		assert_string_equal(text, "audio");
		assert_int_equal(source_unlink(&source), SOURCE_CHANGED);
		assert_true(is_there(&spool, "file"));
		source_close(&source);
		assert_int_equal(unlinkat(spool.fd, "file", 0), 0);
	}
}

#define in_spool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_spool(ordinary_files_are_read_whatever_their_name),
			in_spool(what_is_no_recording_is_refused),
			in_spool(sockets_and_devices_are_refused),
			in_spool(paths_do_not_leave_the_spool),
			in_spool(unreadable_is_refused),
			in_spool(a_writer_keeps_the_file),
			in_spool(release_frees_the_writer_even_with_a_duplicate),
			in_spool(changed_between_find_and_claim),
			in_spool(unlink_refuses_what_changed),
			in_spool(unlink_refuses_another_file_under_the_name),
			in_spool(the_walk_finds_what_may_be_sealed),
			in_spool(the_walk_ends_at_a_depth),
			in_spool(the_walk_does_not_follow_a_swapped_directory),
			in_spool(a_directory_swapped_during_the_walk),
			in_spool(a_name_swapped_between_check_and_opening),
	};

	/* A lease that is broken sends it. */
	signal(SIGIO, SIG_IGN);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
