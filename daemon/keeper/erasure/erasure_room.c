#include "daemon/keeper/erasure/erasure_room.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"

/* Step 5 of an epoch must not fail for want of room: the old root is gone by then. So both of an
 * erasure's transactions are counted: the pages that an item of an account of its own changes, and
 * what any epoch changes. */
#define ROOM_PER_ITEM (UINT64_C(24) << 10)
#define ROOM_ADDED    UINT64_C(512) /* about an item: a burial, a removal */
#define ROOM_FIXED    (UINT64_C(768) << 10)

#define MIB 1048576.0

/* An erasure never needs more than this: each page of the database once in each transaction, and
 * what is added about each item. */
static uint64_t room_for_whole(const struct root *root, size_t items)
{
	struct stat st;
	uint64_t bytes = 0;

	if (fstatat(root->dir_fd, "keeper.db", &st, AT_SYMLINK_NOFOLLOW) == 0)
		bytes = (uint64_t)st.st_size;
	return 2 * bytes + items * ROOM_ADDED;
}

static uint64_t room_needed(const struct root *root, size_t items)
{
	uint64_t needed = items * ROOM_PER_ITEM, whole = room_for_whole(root, items);

	/* Many items share pages, so the estimate by items may exceed the whole database. */
	return ROOM_FIXED + (needed < whole ? needed : whole);
}

static int room_take(const struct root *root, uint64_t needed, struct reason *reason)
{
	int r = db_room_take(root->db, needed);

	if (r != -ENOSPC)
		return r;
	uint64_t there = db_room_left(root->db) + db_room_free(root->db);
	uint64_t missing = needed > there ? needed - there : 0;
	return reason_set(reason, r,
			"an erasure needs %.1f MiB in %s, and %.1f MiB are there: free %.1f MiB "
			"on that filesystem; the keeper then goes on by itself",
			(double)needed / MIB, root->settings.keeper_dir, (double)there / MIB,
			(double)(missing + (1 << 20)) / MIB);
}

int erasure_room_take(const struct root *root, size_t items, struct reason *reason)
{
	return room_take(root, room_needed(root, items), reason);
}

int erasure_room_take_rest(const struct root *root, uint64_t staged, struct reason *reason)
{
	return room_take(root, 2 * staged + ROOM_FIXED / 2, reason);
}

size_t erasure_room_items(const struct root *root)
{
	uint64_t there = db_room_left(root->db) + db_room_free(root->db);
	uint64_t items = there > ROOM_FIXED ? (there - ROOM_FIXED) / ROOM_PER_ITEM : 0;

	return items > 0 ? items : 1;
}
