/* base/durable.
 *
 * fsync, renameat2 and openat are wrapped (see tests/base.inc), so that their failures, and
 * filesystems that lack a feature, can be had anywhere. */

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/support/folder_fixture.h"

/* How the wrapped calls behave; zero means as usual. */
static struct {
	int fail_sync_at; /* the nth fsync fails with EIO */
	int syncs;
	bool no_tmpfile, no_noreplace;
} fault;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	if (++fault.syncs == fault.fail_sync_at) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

int __real_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	if (fault.no_noreplace && flags) {
		errno = EINVAL;
		return -1;
	}
	return __real_renameat2(from, old, to, new, flags);
}

int __real_openat64(int dir_fd, const char *path, int flags, ...);
int __wrap_openat64(int dir_fd, const char *path, int flags, mode_t mode);
int __wrap_openat64(int dir_fd, const char *path, int flags, mode_t mode)
{
	if (fault.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return __real_openat64(dir_fd, path, flags, mode);
}

static void check_create_at(struct folder *f)
{
	struct stat st;

	assert_int_equal(durable_create_at(f->fd, "a", "one", 3, 0600), 0);
	assert_contents(f, "a", "one");
	assert_int_equal(fstatat(f->fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	/* never replaces: a file, a dangling link, a directory */
	assert_int_equal(durable_create_at(f->fd, "a", "two", 3, 0600), -EEXIST);
	assert_contents(f, "a", "one");
	assert_int_equal(symlinkat("nowhere", f->fd, "b"), 0);
	assert_int_equal(durable_create_at(f->fd, "b", "two", 3, 0600), -EEXIST);
	assert_int_equal(mkdirat(f->fd, "c", 0700), 0);
	assert_int_equal(durable_create_at(f->fd, "c", "two", 3, 0600), -EEXIST);
	assert_int_equal(durable_create_at(f->fd, "no/such", "two", 3, 0600), -ENOENT);
	assert_int_equal(entries(f, false), 3);
	assert_int_equal(durable_create_at(f->fd, "empty", "", 0, 0600), 0);
	assert_contents(f, "empty", "");
}

static void test_create_at(void **state)
{
	check_create_at(*state);
}

/* The same on a filesystem without O_TMPFILE, and on one without RENAME_NOREPLACE either. */
static void test_create_at_temporary(void **state)
{
	fault.no_tmpfile = true;
	check_create_at(*state);
}

static void test_create_at_linked(void **state)
{
	fault.no_tmpfile = fault.no_noreplace = true;
	check_create_at(*state);
}

/* File and directory are both synced, and a failure of either leaves nothing. */
static void test_create_at_sync_failures(void **state)
{
	struct folder *f = *state;

	for (int way = 0; way < 2; way++) {
		fault.no_tmpfile = way == 1;
		for (int at = 1; at <= 2; at++) {
			fault.fail_sync_at = at;
			fault.syncs = 0;
			assert_int_equal(durable_create_at(f->fd, "a", "one", 3, 0600), -EIO);
			assert_int_equal(fault.syncs, at); /* never retried */
			assert_int_equal(entries(f, false), 0);
		}
		fault.fail_sync_at = fault.syncs = 0;
		assert_int_equal(durable_create_at(f->fd, "a", "one", 3, 0600), 0);
		assert_int_equal(fault.syncs, 2);
		entries(f, true);
	}
}

static void check_unnamed(struct folder *f, bool named)
{
	char temporary[DURABLE_TEMPORARY_BYTES] = "?";
	_cleanup_close_ int fd = durable_unnamed(f->fd, 0600, temporary);

	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(*temporary != '\0', named);
	assert_int_equal(entries(f, false), named);
	assert_int_equal(io_write_all(fd, "abc", 3), 0);
	assert_int_equal(durable_create_at(f->fd, "taken", "old", 3, 0600), 0);
	assert_int_equal(durable_link(fd, f->fd, temporary, "taken"), -EEXIST);
	assert_contents(f, "taken", "old");
	assert_int_equal(durable_link(fd, f->fd, temporary, "new"), 0);
	assert_contents(f, "new", "abc");
	assert_int_equal(entries(f, true), 2);

	_cleanup_close_ int other = durable_unnamed(f->fd, 0600, temporary);
	assert_true(other >= 0);
	durable_forget(f->fd, temporary);
	assert_int_equal(entries(f, false), 0);
	assert_int_equal(io_write_all(other, "abc", 3), 0); /* stays open */
}

static void test_unnamed(void **state)
{
	check_unnamed(*state, false);
}

static void test_unnamed_temporary(void **state)
{
	fault.no_tmpfile = true;
	check_unnamed(*state, true);
	fault.no_noreplace = true;
	check_unnamed(*state, true);
}

static void test_unlink_and_mkdir(void **state)
{
	struct folder *f = *state;

	assert_int_equal(durable_unlink(f->fd, "none"), 0);
	assert_int_equal(durable_create_at(f->fd, "a", "x", 1, 0600), 0);
	assert_int_equal(durable_unlink(f->fd, "a"), 0);
	assert_int_equal(entries(f, false), 0);

	fault.syncs = 0;
	int fd = durable_mkdir_open(f->fd, "d", 0700);
	assert_true(fd >= 0);
	assert_int_equal(fault.syncs, 1);
	close(fd);
	fd = durable_mkdir_open(f->fd, "d", 0700);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlinkat("d", f->fd, "link"), 0);
	fd = durable_mkdir_open(f->fd, "link", 0700);
	assert_true(fd == -ELOOP || fd == -ENOTDIR);
	assert_int_equal(durable_create_at(f->fd, "file", "x", 1, 0600), 0);
	assert_int_equal(durable_mkdir_open(f->fd, "file", 0700), -ENOTDIR);
	fault.fail_sync_at = fault.syncs + 1;
	assert_int_equal(durable_mkdir_open(f->fd, "e", 0700), -EIO);
}

static void test_full_reads_and_writes(void **state)
{
	struct folder *f = *state;
	char temporary[DURABLE_TEMPORARY_BYTES], buf[8];
	_cleanup_close_ int fd = durable_unnamed(f->fd, 0600, temporary);
	size_t len = 99;

	assert_int_equal(io_pwrite_all(fd, "defg", 4, 3), 0);
	assert_int_equal(io_pwrite_all(fd, "abc", 3, 0), 0);
	assert_int_equal(io_pread_full(fd, buf, 4, 0, &len), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(io_pread_full(fd, buf, sizeof(buf), 5, &len), 0);
	assert_int_equal(len, 2);
	assert_int_equal(io_pread_full(fd, buf, sizeof(buf), 100, &len), 0);
	assert_int_equal(len, 0);
	len = 99;
	assert_int_equal(io_pread_full(-1, buf, 1, 0, &len), -EBADF);
	assert_int_equal(len, 99);
	assert_int_equal(io_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(io_pwrite_all(-1, "x", 1, 0), -EBADF);
	assert_int_equal(io_write_all(-1, "", 0), 0);
}

/* A pipe takes less than asked for: the rest follows. */
static void test_short_writes(void **state)
{
	int fds[2];
	static char data[1 << 18], back[1 << 18];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	randombytes_buf(data, sizeof(data));
	pid_t child = fork();
	if (child == 0) {
		close(fds[0]);
		_exit(io_write_all(fds[1], data, sizeof(data)) == 0 ? 0 : 1);
	}
	close(fds[1]);
	size_t done = 0;
	for (ssize_t n; (n = read(fds[0], back + done, sizeof(back) - done)) > 0;)
		done += (size_t)n;
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(done, sizeof(data));
	assert_memory_equal(data, back, sizeof(data));
	close(fds[0]);
}

static int no_faults(void **state)
{
	memset(&fault, 0, sizeof(fault));
	return make_folder(state);
}

#define with_faults(test) cmocka_unit_test_setup_teardown(test, no_faults, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
			with_faults(test_create_at),
			with_faults(test_create_at_temporary),
			with_faults(test_create_at_linked),
			with_faults(test_create_at_sync_failures),
			with_faults(test_unnamed),
			with_faults(test_unnamed_temporary),
			with_faults(test_unlink_and_mkdir),
			with_faults(test_full_reads_and_writes),
			cmocka_unit_test(test_short_writes),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
