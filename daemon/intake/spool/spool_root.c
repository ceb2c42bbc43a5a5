/* The root of a spool: whether the configured directory is there, is the one it was, and has space
 * left.
 *
 *     not there --spool_check: it can be opened--> there, and a scan is wanted
 *     there --spool_check: another directory has its name--> the other one is there
 *     there --spool_check: the path leads elsewhere--> the one there, if root_trusts() the way
 *     there --spool_check, or a scan that cannot begin: spool_lose_root--> not there
 *
 * Invariant: while the root is not there, nothing of it is watched, scanned or sealed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/spool/spool.h"

#define LINKS_MAX 40

static void spool_root_close(struct spool *spool)
{
	if (spool->root_fd < 0)
		return;
	spool_close(spool);
	watch_forget(spool->tools->watch, spool->index, UINT64_MAX);
}

void spool_lose_root(struct spool *spool, int r)
{
	const char *why = r == -ELOOP ? "a link has taken the place of a folder: restart recseald "
					"if it is to be followed"
				      : error_text(r);

	spool_root_close(spool);
	snprintf(spool->last_error, sizeof(spool->last_error), "the spool cannot be opened: %s",
			why);
	if (outage_failed(&spool->missing, monotonic_us()) > 0)
		spool_notify(spool, LOG_ERR, EVENT_SPOOL_TROUBLE,
				"spool %s: %s: %s; nothing is sealed from it until it is there",
				spool->config->name, spool->config->path, why);
}

/* Whether the links on the way of a path were put there by root or by us. A link that somebody else
 * has put there, who may write to a folder above the spool, would have us seal, and remove, files
 * of others. */
static bool root_trusts(const char *configured)
{
	char path[PATH_MAX], target[PATH_MAX], next[2 * PATH_MAX];
	size_t at = 0;
	int links = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s", configured) >= sizeof(path))
		return false;
	while (path[at]) {
		struct stat st;
		at += strspn(path + at, "/");
		size_t end = at + strcspn(path + at, "/");
		char after = path[end];
		path[end] = '\0';
		int r = lstat(path, &st);
		ssize_t n = r == 0 && S_ISLNK(st.st_mode)
					    ? readlink(path, target, sizeof(target) - 1)
					    : 0;
		path[end] = after;
		if (r < 0 || n < 0)
			return false;
		if (n == 0) {
			at = end;
			continue;
		}
		if ((st.st_uid != 0 && st.st_uid != geteuid()) || ++links > LINKS_MAX)
			return false;
		/* The target in the link's place, and from there again. */
		target[n] = '\0';
		snprintf(next, sizeof(next), "%.*s%s%s", *target == '/' ? 0 : (int)at, path, target,
				path + end);
		if ((size_t)snprintf(path, sizeof(path), "%s", next) >= sizeof(path))
			return false;
		at = 0;
	}
	return true;
}

/* Where the configured path leads now, in spool->real_path. That is asked again each time. A path
 * that led through a link from the beginning may be pointed elsewhere; a link that takes the place
 * of a folder is refused, until a restart says that the operator wants it. */
static int root_resolve(struct spool *spool)
{
	_cleanup_free_ char *real = realpath(spool->config->path, NULL);

	if (!real)
		return -errno;
	if (spool->real_path && strcmp(real, spool->real_path) == 0)
		return 0;
	/* At the start the operator has just said so. */
	if (spool->real_path && (!spool->through_link || !root_trusts(spool->config->path)))
		return -ELOOP;
	if (!spool->real_path)
		spool->through_link = strcmp(real, spool->config->path) != 0;
	free(spool->real_path);
	spool->real_path = TAKE_PTR(real);
	return 0;
}

static int root_open_real(const struct spool *spool)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, spool->real_path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* Said when the spool was there all the time, as far as anybody could see. */
static void root_report_other(struct spool *spool)
{
	spool_notify(spool, LOG_NOTICE, EVENT_SPOOL_TROUBLE,
			"spool %s: %s is another folder than before (now %s, device %u:%u, inode "
			"%" PRIu64 "): recordings are taken from there from now on",
			spool->config->name, spool->config->path, spool->real_path,
			major(spool->root_device), minor(spool->root_device), spool->root_inode);
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
	bool other = spool->root_fd >= 0;
	spool_root_close(spool);
	spool->root_fd = fd;
	spool->root_device = st.st_dev;
	spool->root_inode = st.st_ino;
	spool->scan_wanted = true;
	int r = spool_first_begin(spool);
	if (r < 0)
		return r; /* and the root is lost */
	if (other)
		root_report_other(spool);
	return 0;
}

void spool_check(struct spool *spool)
{
	struct stat st;
	int r = root_resolve(spool);

	if (r == 0 && stat(spool->real_path, &st) < 0)
		r = -errno;

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
