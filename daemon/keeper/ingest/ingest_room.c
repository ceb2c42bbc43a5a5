#include "daemon/keeper/ingest/ingest_room.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MIB 1048576.0

/* Whether objects take room from the keeper's own filesystem. */
static bool room_is_shared(const struct root *root)
{
	struct stat keeper, objects;

	return fstat(root->dir_fd, &keeper) == 0 &&
	       stat(root->settings.objects_dir, &objects) == 0 && keeper.st_dev == objects.st_dev;
}

static int room_check_keeper(const struct root *root, uint64_t bytes, struct reason *reason)
{
	const char *dir = root->settings.keeper_dir;
	bool shared = room_is_shared(root);
	struct statvfs sv;

	if (fstatvfs(root->dir_fd, &sv) < 0)
		return 0;
	uint64_t free_bytes = (uint64_t)sv.f_bavail * sv.f_frsize;
	uint64_t needed = INGEST_ROOM_KEPT_BYTES + (shared ? bytes : 0);
	if (free_bytes < needed)
		return reason_set(reason, -ENOSPC,
				"%.1f MiB are free on the filesystem of %s, and sealing leaves "
				"%.0f MiB of it to erasures, plays and records: make room",
				(double)free_bytes / MIB, dir, INGEST_ROOM_KEPT_BYTES / MIB);
	/* A filesystem without a fixed number of inodes says 0. */
	if (shared && sv.f_files > 0 && sv.f_favail < INGEST_ROOM_KEPT_INODES)
		return reason_set(reason, -ENOSPC,
				"the filesystem of %s is out of inodes (files): %ju are left, and "
				"sealing leaves %d to the rest of the keeper",
				dir, (uintmax_t)sv.f_favail, INGEST_ROOM_KEPT_INODES);
	return 0;
}

/* A filesystem that does not say how much is free says 0. */
static int room_check_objects(const struct root *root, uint64_t bytes, struct reason *reason)
{
	uint64_t free_bytes;
	int r = object_store_free_bytes(root->store, &free_bytes);

	if (r < 0 || free_bytes == 0 || bytes <= free_bytes)
		return 0;
	return reason_set(reason, -ENOSPC,
			"an object needs %.1f MiB, and %.1f MiB are free on the filesystem of %s",
			(double)bytes / MIB, (double)free_bytes / MIB, root->settings.objects_dir);
}

int ingest_room_check(
		const struct root *root, uint64_t bytes, uint64_t promised, struct reason *reason)
{
	uint64_t all;

	if (__builtin_add_overflow(bytes, promised, &all))
		return -ENOSPC;
	int r = room_check_objects(root, all, reason);
	return r < 0 ? r : room_check_keeper(root, all, reason);
}
