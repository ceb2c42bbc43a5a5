/* The record of a folder of objects: for object_dir*.c only. */
#pragma once

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>

#include "storage/objects/object_name.h"
#include "storage/objects/object_table.h"

#define OBJECT_DIR_DIRTY_MAX 16

/* Shards with changes that were not synced yet. Publications and removals have a list each, with
 * descriptors of their own: the kernel reports a failed write-back once to every open file, and a
 * burial's sync must not take away the report that a commit waits for. */
struct object_dir_dirty {
	pthread_mutex_t lock; /* held during a sync as well */
	struct {
		char name[OBJECT_NAME_SHARD_CHARS + 1];
		int fd;
	} shard[OBJECT_DIR_DIRTY_MAX];
	size_t count;
	int failed; /* a sync made for want of room here, for the next one to report */
};

struct object_dir {
	struct object_store store;
	char *location;
	int fd; /* its number stays the same when the location is followed */
	struct object_dir_dirty published, removed;
	pthread_mutex_t witness_lock;
	pthread_mutex_t drafts_lock; /* of the list and of the names of temporary files in it */
	struct dir_draft *drafts;    /* those that are open */
};

static inline struct object_dir *object_dir_of(struct object_store *store)
{
	return (struct object_dir *)store;
}

/* A folder for reading, whose descriptor is its own and not shared with fd. NULL: errno. */
DIR *object_dir_list(int fd);

/* The descriptor of a shard, or -errno. */
int object_dir_shard(const struct object_dir *dir, const char *name);

/* Whether this entry of a shard belongs to a draft that is open: its temporary file, or what was
 * published from it. */
bool object_dir_is_drafted(struct object_dir *dir, const char *file);

/* Of the table of object_table.h. */
int object_dir_sweep_begin(
		struct object_store *store, uint64_t since_ms, struct object_sweep **ret_sweep);
int object_dir_sweep_stride(struct object_sweep *sweep, size_t max, size_t *set_aside);
void object_dir_sweep_end(struct object_sweep *sweep);
int object_dir_witness_get(struct object_store *store, uint64_t *ret_epoch);
int object_dir_check(struct object_store *store);
int object_dir_follow(struct object_store *store);
int object_dir_witness_put(struct object_store *store, uint64_t epoch);
int object_dir_reminder_put(struct object_store *store, uint64_t epoch,
		const uint8_t tag[static OBJECT_STORE_TAG_BYTES], const void *data, size_t len);
int object_dir_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context);
int object_dir_reminder_expire(struct object_store *store, uint64_t epoch);
