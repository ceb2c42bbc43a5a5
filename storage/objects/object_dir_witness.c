/* The witness of a folder: an empty file named after the greatest epoch.
 *
 * The epoch is in the name, so that a copy put back over the folder brings an older name but does
 * not take the newer one away. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "storage/objects/object_dir.h"

#define WITNESS_PREFIX "epoch-"
#define WITNESS_BYTES  (sizeof(WITNESS_PREFIX) + 20)

static void witness_name(uint64_t epoch, char ret_name[static WITNESS_BYTES])
{
	snprintf(ret_name, WITNESS_BYTES, WITNESS_PREFIX "%" PRIu64, epoch);
}

/* Exactly a name that witness_name() makes: sscanf(3) alone would also take signs and blanks. */
static bool witness_parse(const char *name, uint64_t *ret_epoch)
{
	char expected[WITNESS_BYTES];

	if (sscanf(name, WITNESS_PREFIX "%" SCNu64, ret_epoch) != 1)
		return false;
	witness_name(*ret_epoch, expected);
	return strcmp(name, expected) == 0;
}

static int witness_each(int fd,
		int (*visit)(int fd, const char *name, uint64_t epoch, void *context),
		void *context)
{
	_cleanup_closedir_ DIR *entries = object_dir_list(fd);
	struct dirent *entry;

	if (!entries)
		return -errno;
	while ((entry = readdir(entries))) {
		uint64_t epoch;
		if (!witness_parse(entry->d_name, &epoch))
			continue;
		int r = visit(fd, entry->d_name, epoch, context);
		if (r < 0)
			return r;
	}
	return 0;
}

static int witness_max(int fd, const char *name, uint64_t epoch, void *context)
{
	uint64_t *max = context;

	if (epoch > *max)
		*max = epoch;
	return 0;
}

int object_dir_witness_get(struct object_store *store, uint64_t *ret_epoch)
{
	uint64_t max = 0;
	int r = witness_each(object_dir_of(store)->fd, witness_max, &max);

	if (r == 0)
		*ret_epoch = max;
	return r;
}

static int witness_drop_lesser(int fd, const char *name, uint64_t epoch, void *context)
{
	return epoch < *(uint64_t *)context ? durable_unlink(fd, name) : 0;
}

/* The present witness gets the new name, so that there is one at any time. */
static int witness_advance(struct object_dir *dir, uint64_t present, const char *name)
{
	char old[WITNESS_BYTES];

	if (present == 0)
		return durable_create_at(dir->fd, name, "", 0, 0440);
	witness_name(present, old);
	int r = durable_rename(dir->fd, old, name);
	return r < 0 ? r : durable_sync(dir->fd);
}

int object_dir_witness_put(struct object_store *store, uint64_t epoch)
{
	struct object_dir *dir = object_dir_of(store);
	char name[WITNESS_BYTES];
	uint64_t present;

	pthread_mutex_lock(&dir->witness_lock);
	int r = object_dir_witness_get(store, &present);
	witness_name(epoch, name);
	if (r == 0 && present < epoch)
		r = witness_advance(dir, present, name);
	if (r == 0)
		r = witness_each(dir->fd, witness_drop_lesser, &epoch);
	pthread_mutex_unlock(&dir->witness_lock);
	return r;
}

int object_dir_check(struct object_store *store)
{
	const struct object_dir *dir = object_dir_of(store);
	struct stat there, here;

	if (stat(dir->location, &there) < 0 || fstat(dir->fd, &here) < 0)
		return -errno;
	return there.st_dev == here.st_dev && there.st_ino == here.st_ino ? 0 : -ESTALE;
}

int object_dir_follow(struct object_store *store)
{
	struct object_dir *dir = object_dir_of(store);
	_cleanup_close_ int fd = open(dir->location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t max = 0;

	if (fd < 0)
		return -errno;
	int r = witness_each(fd, witness_max, &max);
	if (r == 0 && max == 0)
		r = -ENODATA;
	if (r < 0)
		return r;
	/* At once, for threads that have the old number. */
	return dup3(fd, dir->fd, O_CLOEXEC) < 0 ? -errno : 0;
}
