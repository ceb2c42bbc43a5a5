#include "daemon/intake/source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "daemon/intake/source/aside.h"
#include "daemon/intake/source/beneath.h"

const char *source_refusal(enum source_outcome outcome)
{
	static const char *const texts[SOURCE_OUTCOMES] = {
			[SOURCE_SYMLINK] = "is a symbolic link",
			[SOURCE_HARD_LINK] = "has more than one hard link",
			[SOURCE_SPECIAL] = "is not a regular file",
			[SOURCE_UNREADABLE] = "may not be read",
			[SOURCE_TOO_DEEP] = "lies too deep",
	};

	return texts[outcome] ? texts[outcome] : "is not refused";
}

static int64_t timespec_ns(const struct timespec *ts)
{
	/* Unsigned, for a filesystem that hands out absurd times. */
	return (int64_t)((uint64_t)ts->tv_sec * 1000000000U + (uint64_t)ts->tv_nsec);
}

void source_identify(const struct stat *st, struct source_identity *ret_identity)
{
	*ret_identity = (struct source_identity){
			.device = st->st_dev,
			.inode = st->st_ino,
			.size = (uint64_t)st->st_size,
			.mtime_ns = timespec_ns(&st->st_mtim),
			.ctime_ns = timespec_ns(&st->st_ctim),
	};
}

bool source_same(const struct source_identity *a, const struct source_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

int64_t source_changed_us(const struct source_identity *identity)
{
	int64_t later_ns = identity->mtime_ns > identity->ctime_ns ? identity->mtime_ns
								   : identity->ctime_ns;

	return later_ns / 1000;
}

int source_classify(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return SOURCE_SYMLINK;
	if (!S_ISREG(st->st_mode))
		return SOURCE_SPECIAL;
	if (st->st_nlink > 1)
		return SOURCE_HARD_LINK;
	return st->st_size == 0 ? SOURCE_EMPTY : 0;
}

/* What an error of a lookup says about the file. */
static int source_lookup_outcome(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP: /* a directory on the way became a symbolic link; the scan reports it */
	case -EXDEV: /* ... or was moved out of the spool */
		return SOURCE_GONE;
	case -ENAMETOOLONG:
		return SOURCE_TOO_DEEP;
	case -EACCES:
	case -EPERM:
		return SOURCE_UNREADABLE;
	default:
		return error;
	}
}

/* Opens the directory that path lies in, and copies its last component. */
static int source_find_parent(int root_fd, const char *path, struct source *source)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory =
			slash ? strndup(path, (size_t)(slash - path)) : strdup(".");

	source->name = strdup(slash ? slash + 1 : path);
	if (!directory || !source->name)
		return -ENOMEM;
	source->parent_fd = beneath_open(root_fd, directory, O_PATH | O_DIRECTORY);
	return source->parent_fd < 0 ? source->parent_fd : 0;
}

int source_find(int root_fd, const char *path, struct source *ret_source)
{
	struct source source = SOURCE_NONE;
	struct stat st = {0};
	int r = source_find_parent(root_fd, path, &source);

	if (r == 0) {
		source.fd = beneath_open(source.parent_fd, source.name, O_PATH | O_NOFOLLOW);
		r = source.fd < 0 ? source.fd : fstat(source.fd, &st) < 0 ? -errno : 0;
	}
	/* A file that is gone or out of reach is an outcome, not an error. */
	if (r < 0)
		r = source_lookup_outcome(r);
	else
		r = source_classify(&st);
	if (r < 0 || r == SOURCE_GONE) {
		source_close(&source);
		return r;
	}
	source_identify(&st, &source.identity);
	*ret_source = source;
	return r;
}

/* Opens the very file that was checked, through its descriptor: no name is looked up again. */
static int source_reopen(int path_fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	/* O_NONBLOCK: with a write lease of another process this open would block. */
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(path, flags | O_NOATIME);
	/* Only root and the owner may leave the access time as it is. */
	if (fd < 0 && errno == EPERM)
		fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

#ifndef ZFS_SUPER_MAGIC
#define ZFS_SUPER_MAGIC 0x2fc12fc1
#endif

/* Sound are filesystems on this machine's own disks or memory. FUSE grants leases, but other hosts,
 * or what is behind it, write all the same; NFS says EAGAIN for "no delegation" as for "somebody
 * writes". */
bool source_leases_are_sound(int fd)
{
	static const unsigned long local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
			F2FS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC, ZFS_SUPER_MAGIC};
	struct statfs sf;

	if (fstatfs(fd, &sf) < 0)
		return false;
	for (size_t i = 0; i < ELEMENTSOF(local); i++) {
		if ((unsigned long)sf.f_type == local[i])
			return true;
	}
	return false;
}

int source_claim(struct source *source)
{
	int fd = source_reopen(source->fd);

	if (fd == -EWOULDBLOCK) /* somebody else holds a write lease */
		return SOURCE_WRITER;
	if (fd < 0)
		return source_lookup_outcome(fd);
	close(source->fd);
	source->fd = fd;
	/* Elsewhere a lease would be worse than none: it would be believed. */
	if (source_leases_are_sound(fd)) {
		/* The kernel would send SIGIO to this thread, and to no other. */
		fcntl(fd, F_SETOWN, getpid());
		source->leased = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
		if (!source->leased && errno == EAGAIN)
			return SOURCE_WRITER;
	}
	/* With the lease held: from here on it cannot change unseen. */
	if (!source_unchanged(fd, &source->identity))
		return SOURCE_CHANGED;
	return source->leased ? 0 : SOURCE_UNLEASED;
}

bool source_wanted(const struct source *source)
{
	return source->yielded || (source->leased && fcntl(source->fd, F_GETLEASE) != F_RDLCK);
}

void source_release(struct source *source)
{
	/* Explicitly, not by close(): a duplicate that the probe holds would keep the lease. */
	if (source->leased)
		fcntl(source->fd, F_SETLEASE, F_UNLCK);
	source->leased = false;
}

void source_yield(struct source *source)
{
	source_release(source);
	source->yielded = true;
}

bool source_unchanged(int fd, const struct source_identity *identity)
{
	struct source_identity now;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return false;
	source_identify(&st, &now);
	return source_same(identity, &now);
}

/* Whether this name is this file's. 0; SOURCE_GONE or SOURCE_CHANGED; -errno. */
static int source_check_name(const struct source *source, const char *name)
{
	_cleanup_close_ int named = beneath_open(source->parent_fd, name, O_PATH | O_NOFOLLOW);
	struct stat st;

	/* A file that still has a link was renamed, not deleted. */
	if (named == -ENOENT)
		return fstat(source->fd, &st) == 0 && st.st_nlink > 0 ? SOURCE_CHANGED
								      : SOURCE_GONE;
	if (named < 0)
		return named;
	if (fstat(named, &st) < 0)
		return -errno;
	return st.st_dev == source->identity.device && st.st_ino == source->identity.inode
			       ? 0
			       : SOURCE_CHANGED;
}

/* Whether all except the ctime is as it was: the rename has changed that. */
static bool source_unchanged_except_ctime(const struct source *source)
{
	struct source_identity now;
	struct stat st;

	if (fstat(source->fd, &st) < 0 || st.st_nlink != 1)
		return false;
	source_identify(&st, &now);
	now.ctime_ns = source->identity.ctime_ns;
	return source_same(&source->identity, &now);
}

int source_check_removable(const struct source *source)
{
	struct stat parent, st;

	if (faccessat(source->parent_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return -errno;
	if (fstat(source->parent_fd, &parent) < 0 || fstat(source->fd, &st) < 0)
		return 0; /* nobody knows: trying will tell */
	bool sticky = parent.st_mode & S_ISVTX;
	bool owner = geteuid() == 0 || geteuid() == parent.st_uid || geteuid() == st.st_uid;
	return sticky && !owner ? -EPERM : 0;
}

/* All checks have passed: overwrites the file, if that is wanted, and removes the name. A file that
 * cannot be overwritten goes all the same: left in place it would be all of the plaintext. A file
 * that cannot be removed is not overwritten: what is left would be sealed as a new recording. */
static int source_remove(struct source *source, const char *name)
{
	int r = source->wipe ? source_check_removable(source) : 0;

	if (r != 0)
		return r;
	source->wiped = source_wipe(source, name);
	return source->wiped == SOURCE_CHANGED ? SOURCE_CHANGED
					       : durable_unlink(source->parent_fd, name);
}

/* Under the private name lies the sealed file, or another one that somebody has put under its name
 * since it was checked. The other one gets its name back; if that is in use again, a scan will find
 * the file where it is. */
static int source_unlink_aside(struct source *source, const char *aside)
{
	int r = source_check_name(source, aside);

	if (r == 0 && source_unchanged_except_ctime(source) && !source_wanted(source)) {
		r = source_remove(source, aside);
		if (r != SOURCE_CHANGED)
			return r;
	}
	durable_rename_at_once(source->parent_fd, aside, source->name);
	return r < 0 ? r : SOURCE_CHANGED;
}

int source_unlink(struct source *source)
{
	char name[ASIDE_NAME_BYTES];
	int r = source_check_name(source, source->name);

	if (r != 0)
		return r;
	if (!source_unchanged(source->fd, &source->identity) || source_wanted(source))
		return SOURCE_CHANGED;
	/* Also a file that has a private name already: anybody can make a file of such a name. */
	aside_make(source->name, name);
	r = durable_rename_at_once(source->parent_fd, source->name, name);
	if (r == 0)
		return source_unlink_aside(source, name);
	/* It went between the two: deleted, or renamed by somebody else. */
	if (r == -ENOENT)
		return source_check_name(source, source->name);
	/* The filesystem cannot rename like that, or has no room for one more name. Between the
	 * check and this removal the name may come to mean another file: a moment, and unavoidable.
	 */
	return source_remove(source, source->name);
}

void source_close(struct source *source)
{
	source_release(source);
	if (source->fd >= 0)
		close(source->fd);
	if (source->parent_fd >= 0)
		close(source->parent_fd);
	free(source->name);
	*source = (struct source)SOURCE_NONE;
}
