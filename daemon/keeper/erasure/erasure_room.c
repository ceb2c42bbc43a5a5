#include "daemon/keeper/erasure/erasure_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"

/* Step 5 must not fail for want of room: the old root is gone by then. These are generous: the
 * pages that an item of an account of its own changes, in the journal. */
#define ROOM_PER_ITEM (24 << 10)
#define ROOM_ADDED    512 /* about an item: a burial, a removal */
#define ROOM_FIXED    (16 << 20)

/* An erasure never needs more than this: each page once in the journal, and once where it belongs,
 * and what is added about each item. Many items are noted while a mirror of the root is away. */
static uint64_t erasure_room_for_all(int dir_fd, size_t items)
{
	static const char *const names[] = {"keeper.db", "keeper.db-wal"};
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		if (fstatat(dir_fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return 2 * bytes + (uint64_t)items * ROOM_ADDED;
}

int erasure_room_check(int dir_fd, size_t items)
{
	uint64_t needed = (uint64_t)items * ROOM_PER_ITEM,
		 all = erasure_room_for_all(dir_fd, items);
	struct statvfs sv;

	if (fstatvfs(dir_fd, &sv) < 0)
		return -errno;
	/* Many items share pages, so the estimate by items may exceed the whole database. */
	if (needed > all)
		needed = all;
	return (uint64_t)sv.f_bavail * sv.f_frsize < needed + ROOM_FIXED ? -ENOSPC : 0;
}
