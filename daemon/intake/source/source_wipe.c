/* Overwriting a recording in place, when everything else has been done and only its name is left to
 * be removed.
 *
 *     leased for reading --wipe_claim--> open for writing, with a lease that shows that nobody else
 *                                        has it open --> overwritten, synced
 *     a reader has it open  --> the read lease again, nothing written
 *     a writer has it open  --> nothing written, the writer gets the file back
 *
 * Invariant: nothing is written unless the file is still in the very state that was sealed. */
#include "daemon/intake/source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "daemon/intake/source/beneath.h"

#define BLOCK_BYTES ((size_t)256 << 10)
#define EXTENTS     128 /* asked for at once */
#define MAP_BYTES   (sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent))

/* Blocks that are not this file's alone, or not where they seem to be. */
#define NOT_IN_PLACE (FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_UNKNOWN)

static unsigned long wipe_filesystem(int fd)
{
	struct statfs sf;

	return fstatfs(fd, &sf) < 0 ? 0 : (unsigned long)sf.f_type;
}

bool source_wipe_helps(int fd)
{
	unsigned long type = wipe_filesystem(fd);

	return type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == TMPFS_MAGIC ||
	       type == MSDOS_SUPER_MAGIC;
}

/* Whether every block of the file lies in place. tmpfs and vfat share none, and have no map. */
static bool wipe_in_place(int fd)
{
	unsigned long type = wipe_filesystem(fd);
	_Alignas(struct fiemap) uint8_t buf[MAP_BYTES];
	struct fiemap *map = (void *)buf;
	uint64_t start = 0;

	if (type == TMPFS_MAGIC || type == MSDOS_SUPER_MAGIC)
		return true;
	for (bool last = false; !last;) {
		*map = (struct fiemap){.fm_start = start,
				.fm_length = FIEMAP_MAX_OFFSET - start,
				.fm_flags = FIEMAP_FLAG_SYNC, /* what has no blocks yet gets them */
				.fm_extent_count = EXTENTS};
		if (ioctl(fd, FS_IOC_FIEMAP, map) < 0)
			return false;
		last = map->fm_mapped_extents == 0;
		for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
			const struct fiemap_extent *e = &map->fm_extents[i];
			if (e->fe_flags & NOT_IN_PLACE)
				return false;
			last = last || (e->fe_flags & FIEMAP_EXTENT_LAST);
			start = e->fe_logical + e->fe_length;
		}
	}
	return true;
}

/* Random bytes: zeros may be stored as holes by what is below the filesystem. */
static int wipe_overwrite(int fd, uint64_t size)
{
	_cleanup_free_ uint8_t *block = malloc(BLOCK_BYTES);

	if (!block)
		return -ENOMEM;
	for (uint64_t at = 0; at < size; at += BLOCK_BYTES) {
		size_t n = size - at < BLOCK_BYTES ? (size_t)(size - at) : BLOCK_BYTES;
		randombytes_buf(block, n);
		int r = io_pwrite_all(fd, block, n, (off_t)at);
		if (r < 0)
			return r;
	}
	return durable_sync(fd);
}

static bool wipe_same_file(int fd, const struct source *source)
{
	struct source_identity now;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
		return false;
	source_identify(&st, &now);
	/* The rename has changed the ctime. */
	now.ctime_ns = source->identity.ctime_ns;
	return source_same(&source->identity, &now);
}

/* The source gets this descriptor for its own. */
static void wipe_replace(struct source *source, int fd)
{
	close(source->fd);
	source->fd = fd;
	source->leased = false;
}

/* Somebody else has the file open: a reader does no harm, a writer gets it back. */
static int wipe_give_way(struct source *source, const char *name)
{
	int fd = beneath_open(source->parent_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return SOURCE_CHANGED;
	wipe_replace(source, fd);
	source->leased = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
	return source->leased && wipe_same_file(fd, source) ? WIPE_IN_USE : SOURCE_CHANGED;
}

/* Opens it for writing, so that nobody else has it open. */
static int wipe_claim(struct source *source, const char *name)
{
	/* Our own read lease would be broken by our own opening. */
	bool leased = source->leased;
	source_release(source);
	int fd = beneath_open(source->parent_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -EACCES || fd == -EPERM || fd == -EROFS) {
		source->leased = leased && fcntl(source->fd, F_SETLEASE, F_RDLCK) == 0;
		return leased && !source->leased ? SOURCE_CHANGED : WIPE_DENIED;
	}
	if (fd < 0)
		return SOURCE_CHANGED;
	wipe_replace(source, fd);
	/* Without it a writer could have opened the file since the last check. */
	source->leased = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
	if (!source->leased && errno != EAGAIN)
		return WIPE_DENIED;
	if (!source->leased)
		return wipe_give_way(source, name);
	return wipe_same_file(fd, source) ? 0 : SOURCE_CHANGED;
}

int source_wipe(struct source *source, const char *name)
{
	if (!source->wipe)
		return WIPE_NOT_ASKED;
	if (!source_wipe_helps(source->parent_fd))
		return WIPE_ELSEWHERE;
	int r = wipe_claim(source, name);
	if (r != 0)
		return r;
	if (!wipe_in_place(source->fd))
		r = WIPE_ELSEWHERE;
	else
		r = wipe_overwrite(source->fd, source->identity.size) < 0 ? WIPE_FAILED : WIPE_DONE;
	/* A write lease is gone with its descriptor; nobody else has opened the file. */
	source_release(source);
	return r;
}

const char *source_wipe_refusal(int outcome)
{
	switch (outcome) {
	case WIPE_ELSEWHERE:
		return "its filesystem does not write in place";
	case WIPE_IN_USE:
		return "somebody else has it open";
	case WIPE_DENIED:
		return "recseald may not write to it, or not lease it";
	default:
		return "writing to it failed";
	}
}
