/* Sets aside what no catalog knows, and removes what a crash left of drafts. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "storage/objects/object_dir.h"

struct sweep {
	uint64_t since_ms;
	object_known known;
	void *context;
	size_t set_aside;
};

/* Whether this entry of a shard is an object that nobody knows: 1, 0, or an error. */
static int entry_is_unknown(struct sweep *sweep, const char *file)
{
	uint8_t ulid[ULID_BYTES];

	if (!object_name_parse(file, ulid) || object_name_ms(ulid) < sweep->since_ms)
		return 0;
	int known = sweep->known(sweep->context, ulid);
	return known < 0 ? known : !known;
}

static int sweep_entry(int shard_fd, struct sweep *sweep, const char *file)
{
	struct object_name name;
	uint8_t ulid[ULID_BYTES];

	if (strncmp(file, OBJECT_NAME_UNNAMED, strlen(OBJECT_NAME_UNNAMED)) == 0)
		return durable_unlink(shard_fd, file);
	int r = entry_is_unknown(sweep, file);
	if (r <= 0)
		return r;
	object_name_parse(file, ulid);
	object_name_format(ulid, &name);
	r = durable_rename(shard_fd, file, name.aside);
	if (r == 0 || r == -EEXIST) /* one of that name is there, from an earlier time: both stay */
		sweep->set_aside++;
	return r == -EEXIST ? 0 : r;
}

static int sweep_shard(struct object_dir *dir, const char *shard, struct sweep *sweep)
{
	_cleanup_close_ int fd = object_dir_shard(dir, shard);
	_cleanup_closedir_ DIR *entries = fd < 0 ? NULL : object_dir_list(fd);
	struct dirent *entry;

	if (!entries)
		return fd < 0 ? fd : -errno;
	while ((entry = readdir(entries))) {
		int r = sweep_entry(fd, sweep, entry->d_name);
		if (r < 0)
			return r;
	}
	return 0;
}

int object_dir_sweep(struct object_store *store, uint64_t since_ms, object_known known,
		void *context, size_t *ret_set_aside)
{
	struct object_dir *dir = object_dir_of(store);
	struct sweep sweep = {.since_ms = since_ms, .known = known, .context = context};
	_cleanup_closedir_ DIR *shards = object_dir_list(dir->fd);
	char first[OBJECT_NAME_SHARD_CHARS + 1];
	struct dirent *entry;

	if (!shards)
		return -errno;
	object_name_shard_of_ms(since_ms, first);
	while ((entry = readdir(shards))) {
		/* Ids begin with their time: whole shards are too old to be looked at. */
		if (strlen(entry->d_name) != OBJECT_NAME_SHARD_CHARS ||
				strcmp(entry->d_name, first) < 0)
			continue;
		int r = sweep_shard(dir, entry->d_name, &sweep);
		if (r < 0 && r != -ENOTDIR)
			return r;
	}
	*ret_set_aside = sweep.set_aside;
	return 0;
}
