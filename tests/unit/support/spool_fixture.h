/* A spool in a fresh folder, and files in it, for the tests of the intake. Paths are below it. */
#pragma once

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"

struct spool_fixture {
	char path[64];
	int fd;
};

static inline void spool_fixture_make(struct spool_fixture *f)
{
	strcpy(f->path, "/tmp/recseal-intake.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
}

static inline int spool_fixture_remove_one(
		const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void spool_fixture_remove(struct spool_fixture *f)
{
	nftw(f->path, spool_fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	close(f->fd);
}

static inline void put_directory(const struct spool_fixture *f, const char *path)
{
	assert_int_equal(mkdirat(f->fd, path, 0700), 0);
}

static inline void put_bytes(
		const struct spool_fixture *f, const char *path, const void *bytes, size_t len)
{
	_cleanup_close_ int fd =
			openat(f->fd, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, bytes, len), 0);
}

static inline void put_text(const struct spool_fixture *f, const char *path, const char *text)
{
	put_bytes(f, path, text, strlen(text));
}

static inline bool is_there(const struct spool_fixture *f, const char *path)
{
	return faccessat(f->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int spool_fixture_no_file(
		const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return type != FTW_D && type != FTW_DP;
}

/* Whether there is nothing but directories. */
static inline bool spool_is_empty(const struct spool_fixture *f)
{
	return nftw(f->path, spool_fixture_no_file, 32, FTW_PHYS) == 0;
}

/* Whether this process can take leases on its own files here: not on every filesystem. */
static inline bool leases_work(const struct spool_fixture *f)
{
	put_text(f, "lease-trial", "x");
	_cleanup_close_ int fd = openat(f->fd, "lease-trial", O_RDONLY | O_CLOEXEC);
	bool works = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
	unlinkat(f->fd, "lease-trial", 0);
	return works;
}
