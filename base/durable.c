#include "base/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

void durable_write_behind(int fd)
{
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* 0 bytes: to the end */
}

int durable_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int durable_sync(int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

int durable_create_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode)
{
	char temporary[DURABLE_TEMPORARY_BYTES];
	_cleanup_close_ int fd = durable_unnamed(dir_fd, mode, temporary);

	if (fd < 0)
		return fd;
	int r = io_write_all(fd, data, len);
	if (r == 0)
		r = durable_sync(fd);
	if (r == 0)
		r = durable_link(fd, dir_fd, temporary, name);
	if (r < 0) {
		durable_forget(dir_fd, temporary);
		return r;
	}
	r = durable_sync(dir_fd);
	if (r < 0)
		unlinkat(dir_fd, name, 0);
	return r;
}

int durable_unnamed(int dir_fd, mode_t mode, char ret_temporary[static DURABLE_TEMPORARY_BYTES])
{
	char name[DURABLE_TEMPORARY_BYTES];
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	if (fd >= 0) {
		ret_temporary[0] = '\0';
		return fd;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return -errno;
	snprintf(name, sizeof(name), ".unnamed-%08x%08x", randombytes_random(),
			randombytes_random());
	fd = openat(dir_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	memcpy(ret_temporary, name, sizeof(name));
	return fd;
}

/* A filesystem without O_TMPFILE may be without RENAME_NOREPLACE too; link(2) never replaces. */
static int link_temporary(int dir_fd, const char *temporary, const char *name)
{
	if (renameat2(dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (linkat(dir_fd, temporary, dir_fd, name, 0) < 0)
		return -errno;
	unlinkat(dir_fd, temporary, 0);
	return 0;
}

int durable_link(int fd, int dir_fd, const char *temporary, const char *name)
{
	char path[64];

	if (*temporary)
		return link_temporary(dir_fd, temporary, name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

void durable_forget(int dir_fd, const char *temporary)
{
	if (*temporary)
		unlinkat(dir_fd, temporary, 0);
}

int durable_unlink(int dir_fd, const char *name)
{
	return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int durable_rename_at_once(int dir_fd, const char *from, const char *to)
{
	return renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

int durable_rename(int dir_fd, const char *from, const char *to)
{
	int r = durable_rename_at_once(dir_fd, from, to);

	if (r != -EINVAL && r != -ENOSYS) /* of a filesystem that has no such flag */
		return r;
	if (linkat(dir_fd, from, dir_fd, to, 0) < 0 || unlinkat(dir_fd, from, 0) < 0)
		return -errno;
	return 0;
}

int durable_mkdir_open(int dir_fd, const char *name, mode_t mode)
{
	bool created = mkdirat(dir_fd, name, mode) == 0;

	if (!created && errno != EEXIST)
		return -errno;
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = created ? durable_sync(dir_fd) : 0;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
