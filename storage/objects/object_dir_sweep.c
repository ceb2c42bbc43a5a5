/* Sets aside what no catalog knows, and removes what a crash left of drafts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "storage/objects/object_dir.h"

struct dir_sweep {
	struct object_sweep sweep;
	DIR *shards, *entries; /* entries NULL: no shard is open */
	int shard_fd;
	char first[OBJECT_NAME_SHARD_CHARS + 1]; /* the oldest shard that is looked at */
};

static struct dir_sweep *dir_sweep_of(struct object_sweep *sweep)
{
	return (struct dir_sweep *)sweep;
}

/* Whether this entry of a shard is an object that nobody knows: 1, 0, or an error. */
static int entry_is_unknown(struct object_sweep *sweep, const char *file)
{
	uint8_t ulid[ULID_BYTES];

	if (!object_name_parse(file, ulid) || object_name_ms(ulid) < sweep->since_ms)
		return 0;
	int known = sweep->known(sweep->context, ulid);
	return known < 0 ? known : !known;
}

/* Others use the folder meanwhile: an entry may be gone by the time that it is come to. */
static int sweep_entry(struct dir_sweep *own, const char *file, size_t *set_aside)
{
	struct object_name name;
	uint8_t ulid[ULID_BYTES];

	if (object_dir_is_drafted(object_dir_of(own->sweep.store), file))
		return 0;
	if (strncmp(file, OBJECT_NAME_UNNAMED, strlen(OBJECT_NAME_UNNAMED)) == 0)
		return durable_unlink(own->shard_fd, file);
	int r = entry_is_unknown(&own->sweep, file);
	if (r <= 0)
		return r;
	object_name_parse(file, ulid);
	object_name_format(ulid, &name);
	r = durable_rename(own->shard_fd, file, name.aside);
	if (r == 0 || r == -EEXIST) /* one of that name is there, from an earlier time: both stay */
		(*set_aside)++;
	return r == -EEXIST || r == -ENOENT ? 0 : r;
}

static void shard_close(struct dir_sweep *own)
{
	if (own->entries)
		closedir(own->entries);
	if (own->shard_fd >= 0)
		close(own->shard_fd);
	own->entries = NULL;
	own->shard_fd = -1;
}

/* 1 when there is one, 0 when there is no other. */
static int shard_open_next(struct dir_sweep *own)
{
	struct dirent *entry;

	while ((entry = readdir(own->shards))) {
		/* Ids begin with their time: whole shards are too old to be looked at. */
		if (strlen(entry->d_name) != OBJECT_NAME_SHARD_CHARS ||
				strcmp(entry->d_name, own->first) < 0)
			continue;
		own->shard_fd = object_dir_shard(object_dir_of(own->sweep.store), entry->d_name);
		if (own->shard_fd == -ENOTDIR || own->shard_fd == -ENOENT)
			continue;
		if (own->shard_fd < 0)
			return own->shard_fd;
		own->entries = object_dir_list(own->shard_fd);
		return own->entries ? 1 : -errno;
	}
	return 0;
}

int object_dir_sweep_begin(
		struct object_store *store, uint64_t since_ms, struct object_sweep **ret_sweep)
{
	struct dir_sweep *own = calloc(1, sizeof(*own));

	if (!own)
		return -ENOMEM;
	own->shard_fd = -1;
	own->shards = object_dir_list(object_dir_of(store)->fd);
	if (!own->shards) {
		int r = -errno;
		free(own);
		return r;
	}
	object_name_shard_of_ms(since_ms, own->first);
	*ret_sweep = &own->sweep;
	return 0;
}

int object_dir_sweep_stride(struct object_sweep *sweep, size_t max, size_t *set_aside)
{
	struct dir_sweep *own = dir_sweep_of(sweep);
	int r = 1;

	while (max-- > 0 && r > 0) {
		const struct dirent *entry = own->entries ? readdir(own->entries) : NULL;
		if (entry) {
			r = sweep_entry(own, entry->d_name, set_aside);
			r = r < 0 ? r : 1;
		} else {
			shard_close(own);
			r = shard_open_next(own);
		}
	}
	return r;
}

void object_dir_sweep_end(struct object_sweep *sweep)
{
	struct dir_sweep *own = dir_sweep_of(sweep);

	shard_close(own);
	closedir(own->shards);
	free(own);
}
