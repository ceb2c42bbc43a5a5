/* The root of a spool: whether the configured directory is there, is the one it was, and has space
 * left.
 *
 *     not there --spool_check: it can be opened--> there, and a scan is wanted
 *     there --spool_check: another directory has its name--> the other one is there
 *     there --spool_check, or a scan that cannot begin: spool_lose_root--> not there
 *
 * Invariant: while the root is not there, nothing of it is watched, scanned or sealed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/spool/spool.h"

static void spool_root_close(struct spool *spool)
{
	if (spool->root_fd < 0)
		return;
	spool_close(spool);
	watch_forget(spool->tools->watch, spool->index, UINT64_MAX);
}

void spool_lose_root(struct spool *spool, int r)
{
	spool_root_close(spool);
	snprintf(spool->last_error, sizeof(spool->last_error), "the spool cannot be opened: %s",
			error_text(r));
	if (outage_failed(&spool->missing, monotonic_us()) > 0)
		spool_notify(spool, LOG_ERR, EVENT_SPOOL_TROUBLE,
				"spool %s: %s: %s; nothing is sealed from it until it is there",
				spool->config->name, spool->config->path, error_text(r));
}

/* The configured path is resolved once. A link that is put in the spool's place later, by whoever
 * may write to the folder above, would have us seal, and remove, files of others. */
static int root_open_real(struct spool *spool)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

	if (!spool->real_path && !(spool->real_path = realpath(spool->config->path, NULL)))
		return -errno;
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, spool->real_path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static int root_open(struct spool *spool)
{
	int fd = root_open_real(spool);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	/* It was replaced: the watches and the scan belong to the old directory. */
	spool_root_close(spool);
	spool->root_fd = fd;
	spool->root_device = st.st_dev;
	spool->root_inode = st.st_ino;
	spool->scan_wanted = true;
	return 0;
}

void spool_check(struct spool *spool)
{
	struct stat st;
	const char *path = spool->real_path ? spool->real_path : spool->config->path;
	int r = stat(path, &st) < 0 ? -errno : 0;

	if (r == 0 && spool->root_fd >= 0 && st.st_dev == spool->root_device &&
			st.st_ino == spool->root_inode)
		return;
	if (r == 0)
		r = root_open(spool);
	if (r < 0) {
		spool_lose_root(spool, r);
		return;
	}
	spool->last_error[0] = '\0';
	if (outage_over(&spool->missing))
		spool_notify(spool, LOG_NOTICE, EVENT_PLAIN, "spool %s is there",
				spool->config->name);
}

void spool_check_space(struct spool *spool)
{
	const struct config_spool *config = spool->config;
	struct watermark_space space;
	struct statvfs st;

	if (spool->root_fd < 0 || fstatvfs(spool->root_fd, &st) < 0) {
		spool->free_percent = -1;
		return;
	}
	watermark_space(&st, &space);
	spool->free_percent = space.free_percent;
	switch (watermark_update(&spool->mark, config->low_percent, &space)) {
	case WATERMARK_LOW:
		spool_notify(spool, LOG_WARNING, EVENT_SPOOL_FULL,
				"spool %s: its filesystem is nearly full: %.1f%% left, below "
				"LowSpace=%u%%",
				config->name, space.free_percent, config->low_percent);
		break;
	case WATERMARK_WELL:
		spool_notify(spool, LOG_NOTICE, EVENT_PLAIN,
				"spool %s: its filesystem has space again: %.1f%% left",
				config->name, space.free_percent);
		break;
	case WATERMARK_AS_BEFORE:
		break;
	}
}
