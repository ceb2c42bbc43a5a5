/* A fresh folder for a test, as cmocka setup and teardown; the state is a struct folder. */
#pragma once

#include <dirent.h>
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
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"

struct folder {
	char path[64];
	int fd;
};

static inline int make_folder(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/recseal-unit.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return f->fd < 0;
}

/* Names in the folder that are not "." or ".."; removes them when asked to. */
static inline int entries(struct folder *f, bool remove)
{
	_cleanup_closedir_ DIR *dir = opendir(f->path);
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		n++;
		if (remove && unlinkat(f->fd, entry->d_name, 0) < 0)
			unlinkat(f->fd, entry->d_name, AT_REMOVEDIR);
	}
	return n;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static inline int remove_folder(void **state)
{
	struct folder *f = *state;
	int r = nftw(f->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);

	close(f->fd);
	free(f);
	return r;
}

static inline void write_file(struct folder *f, const char *name, const char *text)
{
	int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static inline void assert_contents(struct folder *f, const char *name, const char *expected)
{
	_cleanup_close_ int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
	char buf[64];
	size_t len = 99;

	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, buf, sizeof(buf), 0, &len), 0);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(buf, expected, len);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
