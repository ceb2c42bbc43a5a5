#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/objects/object_store.h"

#define SHARD_CHARS    5
#define SUFFIX         ".age"
#define NAME_BYTES     (ULID_TEXT_CHARS + sizeof(SUFFIX))
#define ASIDE_SUFFIX   ".uncatalogued" /* after the name: set aside by a sweep */
#define ASIDE_BYTES    (NAME_BYTES + sizeof(ASIDE_SUFFIX) - 1)
#define WITNESS_PREFIX "epoch-"
#define WITNESS_BYTES  (sizeof(WITNESS_PREFIX) + 20)
#define DIRTY_MAX      16
#define OBJECT_MODE    0440
#define SHARD_MODE     02750 /* the group may read: who may play may also open the object by name */

struct object_dir {
	struct object_store store;
	int fd;
	/* Shards with names not yet synced; the last is also where new objects go. */
	struct {
		char name[SHARD_CHARS + 1];
		int fd;
	} dirty[DIRTY_MAX];
	size_t n_dirty;
};

static struct object_dir *of(struct object_store *store)
{
	return (struct object_dir *)store;
}

static void shard_name(const uint8_t ulid[static ULID_BYTES], char ret_name[static SHARD_CHARS + 1])
{
	char text[ULID_TEXT_CHARS + 1];

	ulid_format(ulid, text);
	memcpy(ret_name, text, SHARD_CHARS);
	ret_name[SHARD_CHARS] = '\0';
}

static void object_name(const uint8_t ulid[static ULID_BYTES], char ret_name[static NAME_BYTES])
{
	ulid_format(ulid, ret_name);
	memcpy(ret_name + ULID_TEXT_CHARS, SUFFIX, sizeof(SUFFIX));
}

static int dir_sync(struct object_store *store)
{
	struct object_dir *dir = of(store);
	int result = 0;

	for (size_t i = 0; i < dir->n_dirty; i++) {
		int r = durable_sync(dir->dirty[i].fd);
		close(dir->dirty[i].fd);
		if (r < 0 && result == 0)
			result = r;
	}
	dir->n_dirty = 0;
	return result;
}

/* Remembers to sync this shard; takes a duplicate of the descriptor. */
static int mark_dirty(struct object_dir *dir, const char *name, int fd)
{
	for (size_t i = 0; i < dir->n_dirty; i++) {
		if (strcmp(dir->dirty[i].name, name) == 0)
			return 0;
	}
	if (dir->n_dirty == DIRTY_MAX) {
		int r = dir_sync(&dir->store);
		if (r < 0)
			return r;
	}
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	strcpy(dir->dirty[dir->n_dirty].name, name);
	dir->dirty[dir->n_dirty++].fd = copy;
	return 0;
}

static int open_shard(struct object_dir *dir, const char *name)
{
	int fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int dir_create(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		struct object_draft *ret_draft)
{
	struct object_draft draft = {.fd = -1};
	char shard[SHARD_CHARS + 1];

	shard_name(ulid, shard);
	memcpy(draft.ulid, ulid, ULID_BYTES);
	draft.dir_fd = durable_mkdir_open(of(store)->fd, shard, SHARD_MODE);
	if (draft.dir_fd < 0)
		return draft.dir_fd;
	draft.fd = durable_unnamed(draft.dir_fd, OBJECT_MODE, draft.temporary);
	if (draft.fd < 0) {
		close(draft.dir_fd);
		return draft.fd;
	}
	*ret_draft = draft;
	return 0;
}

static int dir_publish(struct object_store *store, struct object_draft *draft)
{
	char name[NAME_BYTES], shard[SHARD_CHARS + 1];

	object_name(draft->ulid, name);
	shard_name(draft->ulid, shard);
	int r = durable_link(draft->fd, draft->dir_fd, draft->temporary, name);
	if (r < 0)
		return r;
	draft->temporary[0] = '\0';
	r = mark_dirty(of(store), shard, draft->dir_fd);
	if (r < 0)
		(void)durable_unlink(draft->dir_fd, name);
	return r;
}

/* Never waits: what lies at an object's place may be a FIFO. */
static int open_regular(int dir_fd, const char *path)
{
	_cleanup_close_ int fd = openat(
			dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -RE_CORRUPT;
}

static void aside_name(const char *name, char ret_name[static ASIDE_BYTES])
{
	snprintf(ret_name, ASIDE_BYTES, "%.*s" ASIDE_SUFFIX, (int)NAME_BYTES - 1, name);
}

/* It was set aside, and is known now: the catalog that knows it is back. */
static int take_back(int dir_fd, const char *path)
{
	char aside[SHARD_CHARS + 1 + ASIDE_BYTES];

	snprintf(aside, sizeof(aside), "%s" ASIDE_SUFFIX, path);
	return durable_rename(dir_fd, aside, path);
}

static int dir_open(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	char path[SHARD_CHARS + 1 + NAME_BYTES];
	int dir_fd = of(store)->fd;

	store->ops->describe(ulid, path, sizeof(path));
	int fd = open_regular(dir_fd, path);
	return fd == -ENOENT && take_back(dir_fd, path) == 0 ? open_regular(dir_fd, path) : fd;
}

static int dir_remove(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	char name[NAME_BYTES], shard[SHARD_CHARS + 1], aside[ASIDE_BYTES];

	shard_name(ulid, shard);
	object_name(ulid, name);
	aside_name(name, aside);
	_cleanup_close_ int fd = open_shard(of(store), shard);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int r = durable_unlink(fd, name);
	if (r == 0)
		r = durable_unlink(fd, aside);
	return r < 0 ? r : mark_dirty(of(store), shard, fd);
}

struct sweep {
	uint64_t since_ms;
	int (*known)(void *context, const uint8_t ulid[static ULID_BYTES]);
	void *context;
	size_t set_aside;
};

static uint64_t ulid_ms(const uint8_t ulid[static ULID_BYTES])
{
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | ulid[i];
	return ms;
}

/* Whether this entry of a shard is an object that nobody knows: 1, 0, or an error. */
static int is_unknown(struct sweep *sweep, const char *name)
{
	char text[ULID_TEXT_CHARS + 1];
	uint8_t ulid[ULID_BYTES];

	if (strlen(name) != NAME_BYTES - 1 || strcmp(name + ULID_TEXT_CHARS, SUFFIX) != 0)
		return 0;
	memcpy(text, name, ULID_TEXT_CHARS);
	text[ULID_TEXT_CHARS] = '\0';
	if (ulid_parse(text, ulid) < 0 || ulid_ms(ulid) < sweep->since_ms)
		return 0;
	int known = sweep->known(sweep->context, ulid);
	return known < 0 ? known : !known;
}

static int sweep_entry(int shard_fd, struct sweep *sweep, const char *name)
{
	char aside[ASIDE_BYTES];

	if (strncmp(name, ".unnamed-", 9) == 0)
		return durable_unlink(shard_fd, name);
	int r = is_unknown(sweep, name);
	if (r <= 0)
		return r;
	aside_name(name, aside);
	r = durable_rename(shard_fd, name, aside);
	if (r == 0 || r == -EEXIST) /* one of that name is there, from an earlier time: both stay */
		sweep->set_aside++;
	return r == -EEXIST ? 0 : r;
}

static int sweep_shard(struct object_dir *dir, const char *shard, struct sweep *sweep)
{
	_cleanup_close_ int fd = open_shard(dir, shard);
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_closedir_ DIR *entries = copy < 0 ? NULL : fdopendir(copy);
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

/* The shard of a time: what its ids begin with. */
static void shard_of_ms(uint64_t ms, char ret_name[static SHARD_CHARS + 1])
{
	uint8_t ulid[ULID_BYTES] = {0};

	for (int i = 0; i < 6; i++)
		ulid[i] = (uint8_t)(ms >> (8 * (5 - i)));
	shard_name(ulid, ret_name);
}

static int dir_sweep(struct object_store *store, uint64_t since_ms,
		int (*known)(void *context, const uint8_t ulid[static ULID_BYTES]), void *context,
		size_t *ret_set_aside)
{
	struct object_dir *dir = of(store);
	struct sweep sweep = {.since_ms = since_ms, .known = known, .context = context};
	char first[SHARD_CHARS + 1];
	int copy = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_closedir_ DIR *shards = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!shards)
		return -errno;
	rewinddir(shards);
	shard_of_ms(since_ms, first);
	while ((entry = readdir(shards))) {
		if (strlen(entry->d_name) != SHARD_CHARS || strcmp(entry->d_name, first) < 0)
			continue;
		int r = sweep_shard(dir, entry->d_name, &sweep);
		if (r < 0 && r != -ENOTDIR)
			return r;
	}
	*ret_set_aside = sweep.set_aside;
	return 0;
}

static void witness_name(uint64_t epoch, char ret_name[static WITNESS_BYTES])
{
	snprintf(ret_name, WITNESS_BYTES, WITNESS_PREFIX "%" PRIu64, epoch);
}

/* Exactly a name that dir_witness_put() makes: sscanf(3) alone would also take signs and blanks. */
static bool is_witness(const char *name, uint64_t *ret_epoch)
{
	char expected[WITNESS_BYTES];

	if (sscanf(name, WITNESS_PREFIX "%" SCNu64, ret_epoch) != 1)
		return false;
	witness_name(*ret_epoch, expected);
	return strcmp(name, expected) == 0;
}

static int each_witness(struct object_dir *dir,
		int (*visit)(struct object_dir *dir, const char *name, uint64_t epoch,
				void *context),
		void *context)
{
	int copy = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_closedir_ DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!entries)
		return -errno;
	rewinddir(entries);
	while ((entry = readdir(entries))) {
		uint64_t epoch;
		if (!is_witness(entry->d_name, &epoch))
			continue;
		int r = visit(dir, entry->d_name, epoch, context);
		if (r < 0)
			return r;
	}
	return 0;
}

static int greatest(struct object_dir *dir, const char *name, uint64_t epoch, void *context)
{
	uint64_t *max = context;

	if (epoch > *max)
		*max = epoch;
	return 0;
}

static int dir_witness_get(struct object_store *store, uint64_t *ret_epoch)
{
	uint64_t max = 0;
	int r = each_witness(of(store), greatest, &max);

	if (r == 0)
		*ret_epoch = max;
	return r;
}

static int remove_lesser(struct object_dir *dir, const char *name, uint64_t epoch, void *context)
{
	return epoch < *(uint64_t *)context ? durable_unlink(dir->fd, name) : 0;
}

/* The present witness gets the new name, so that there is one at any time. */
static int advance_witness(struct object_dir *dir, uint64_t present, const char *name)
{
	char old[WITNESS_BYTES];

	if (present == 0)
		return durable_create_at(dir->fd, name, "", 0, 0440);
	witness_name(present, old);
	int r = durable_rename(dir->fd, old, name);
	return r < 0 ? r : durable_sync(dir->fd);
}

/* The epoch is in the name: a copy put back over the directory brings an older name but does not
 * take this one away. */
static int dir_witness_put(struct object_store *store, uint64_t epoch)
{
	struct object_dir *dir = of(store);
	char name[WITNESS_BYTES];
	uint64_t present;
	int r = dir_witness_get(store, &present);

	witness_name(epoch, name);
	if (r == 0 && present < epoch)
		r = advance_witness(dir, present, name);
	return r < 0 ? r : each_witness(dir, remove_lesser, &epoch);
}

static int dir_free_bytes(struct object_store *store, uint64_t *ret_free_bytes)
{
	struct statvfs sv;

	if (fstatvfs(of(store)->fd, &sv) < 0)
		return -errno;
	*ret_free_bytes = (uint64_t)sv.f_bavail * sv.f_frsize;
	return 0;
}

static void dir_describe(const uint8_t ulid[static ULID_BYTES], char *ret_text, size_t len)
{
	char name[NAME_BYTES], shard[SHARD_CHARS + 1];

	shard_name(ulid, shard);
	object_name(ulid, name);
	snprintf(ret_text, len, "%s/%s", shard, name);
}

static void dir_close(struct object_store *store)
{
	struct object_dir *dir = of(store);

	dir_sync(store);
	close(dir->fd);
	free(dir);
}

static const struct object_store_ops dir_ops = {
		.create = dir_create,
		.publish = dir_publish,
		.sync = dir_sync,
		.open = dir_open,
		.remove = dir_remove,
		.sweep = dir_sweep,
		.witness_get = dir_witness_get,
		.witness_put = dir_witness_put,
		.free_bytes = dir_free_bytes,
		.describe = dir_describe,
		.close = dir_close,
};

void object_draft_close(struct object_draft *draft)
{
	if (draft->fd < 0)
		return;
	durable_forget(draft->dir_fd, draft->temporary);
	close(draft->fd);
	close(draft->dir_fd);
	draft->fd = -1;
}

int object_store_dir_open(const char *path, struct object_store **ret_store)
{
	struct object_dir *dir;

	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return -errno;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = calloc(1, sizeof(*dir));
	if (!dir)
		return -ENOMEM;
	dir->store.ops = &dir_ops;
	dir->fd = TAKE_FD(fd);
	*ret_store = &dir->store;
	return 0;
}
