/* Objects as files of a folder, named as object_name.h says.
 *
 * Invariants:
 * 1. A name of an object is made by durable_link() from a draft, and never replaced.
 * 2. A shard is in the list `published` from before the publication is reported until its folder
 *    was synced; so too with `removed`.
 * 3. Drafts have no name, or on filesystems without unnamed files one that a sweep removes. */
#include "storage/objects/object_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"

#define OBJECT_MODE 0440
#define SHARD_MODE  02750 /* the group may read: who may play may also open the object by name */

struct dir_draft {
	struct object_draft draft;
	int shard_fd;
	char temporary[DURABLE_TEMPORARY_BYTES];
};

static struct dir_draft *dir_draft_of(struct object_draft *draft)
{
	return (struct dir_draft *)draft;
}

DIR *object_dir_list(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = own < 0 ? NULL : fdopendir(own);

	if (!list && own >= 0)
		close(own);
	return list;
}

int object_dir_shard(const struct object_dir *dir, const char *name)
{
	int fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* ---- What is to be synced ---- */

static int dirty_sync_locked(struct object_dir_dirty *dirty)
{
	int result = dirty->failed;

	dirty->failed = 0;
	for (size_t i = 0; i < dirty->count; i++) {
		int r = durable_sync(dirty->shard[i].fd);
		close(dirty->shard[i].fd);
		if (r < 0 && result == 0)
			result = r;
	}
	dirty->count = 0;
	return result;
}

static int dirty_sync(struct object_dir_dirty *dirty)
{
	pthread_mutex_lock(&dirty->lock);
	int r = dirty_sync_locked(dirty);
	pthread_mutex_unlock(&dirty->lock);
	return r;
}

static int dirty_add_locked(struct object_dir_dirty *dirty, const char *shard, int fd)
{
	for (size_t i = 0; i < dirty->count; i++) {
		if (strcmp(dirty->shard[i].name, shard) == 0)
			return 0;
	}
	if (dirty->count == OBJECT_DIR_DIRTY_MAX)
		dirty->failed = dirty_sync_locked(dirty);
	/* Opened once more and not duplicated: see struct object_dir_dirty. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0)
		return -errno;
	snprintf(dirty->shard[dirty->count].name, sizeof(dirty->shard[0].name), "%s", shard);
	dirty->shard[dirty->count++].fd = own;
	return 0;
}

/* Before the change itself, so that the descriptor is old enough to hear of its failure. */
static int dirty_add(struct object_dir_dirty *dirty, const char *shard, int fd)
{
	pthread_mutex_lock(&dirty->lock);
	int r = dirty_add_locked(dirty, shard, fd);
	pthread_mutex_unlock(&dirty->lock);
	return r;
}

static int dir_sync_published(struct object_store *store)
{
	return dirty_sync(&object_dir_of(store)->published);
}

static int dir_sync_removed(struct object_store *store)
{
	return dirty_sync(&object_dir_of(store)->removed);
}

/* ---- Drafts ---- */

static void dir_draft_free(struct object_draft *draft)
{
	struct dir_draft *own = dir_draft_of(draft);

	if (draft->fd >= 0) {
		durable_forget(own->shard_fd, own->temporary);
		close(draft->fd);
	}
	if (own->shard_fd >= 0)
		close(own->shard_fd);
	free(own);
}

static int dir_create(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		struct object_draft **ret_draft)
{
	struct dir_draft *own = calloc(1, sizeof(*own));
	struct object_name name;

	if (!own)
		return -ENOMEM;
	own->draft = (struct object_draft){.store = store, .fd = -1};
	memcpy(own->draft.ulid, ulid, ULID_BYTES);
	object_name_format(ulid, &name);
	own->shard_fd = durable_mkdir_open(object_dir_of(store)->fd, name.shard, SHARD_MODE);
	if (own->shard_fd >= 0)
		own->draft.fd = durable_unnamed(own->shard_fd, OBJECT_MODE, own->temporary);
	int r = own->shard_fd < 0 ? own->shard_fd : own->draft.fd;
	if (r < 0) {
		dir_draft_free(&own->draft);
		return r;
	}
	*ret_draft = &own->draft;
	return 0;
}

/* An open file of its own: the mode must not change under the intake's hands. */
static int read_direct(int fd, uint64_t offset, void *buffer, size_t len, size_t *ret_len)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	_cleanup_close_ int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		return -errno;
	/* One read, and not io_pread_full(): after the short one at the end no other is aligned. */
	ssize_t n;
	do
		n = pread(direct, buffer, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	return 0;
}

/* Without direct reads: the pages that are on the disk are dropped from the cache, so that they
 * come from there again. A filesystem that lives in memory has nowhere else to read from. */
static int read_uncached(int fd, uint64_t offset, void *buffer, size_t len, size_t *ret_len)
{
	int r = offset == 0 ? durable_sync(fd) : 0;

	if (r < 0)
		return r;
	(void)posix_fadvise(fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
	return io_pread_full(fd, buffer, len, (off_t)offset, ret_len);
}

static int dir_read_back(struct object_draft *draft, uint64_t offset, void *buffer, size_t len,
		size_t *ret_len)
{
	int r = read_direct(draft->fd, offset, buffer, len, ret_len);

	/* -EINVAL: the filesystem has no direct mode. Without /proc there is none either. */
	return r == -EINVAL || r == -EOPNOTSUPP || r == -ENOENT
			       ? read_uncached(draft->fd, offset, buffer, len, ret_len)
			       : r;
}

static int dir_publish(struct object_draft *draft)
{
	struct dir_draft *own = dir_draft_of(draft);
	struct object_dir *dir = object_dir_of(draft->store);
	struct object_name name;

	object_name_format(draft->ulid, &name);
	int r = dirty_add(&dir->published, name.shard, own->shard_fd);
	if (r < 0)
		return r;
	r = durable_link(draft->fd, own->shard_fd, own->temporary, name.file);
	if (r == 0)
		own->temporary[0] = '\0';
	return r;
}

/* ---- Objects ---- */

/* Never waits: a FIFO may lie under an object's name. */
static int open_regular(int dir_fd, const char *path)
{
	_cleanup_close_ int fd = openat(
			dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -RE_CORRUPT;
}

static int dir_open_object(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	struct object_name name;

	object_name_format(ulid, &name);
	_cleanup_close_ int shard = object_dir_shard(object_dir_of(store), name.shard);
	if (shard < 0)
		return shard;
	int fd = open_regular(shard, name.file);
	/* It was set aside, and is known now: the catalog that knows it is back. */
	if (fd == -ENOENT && durable_rename(shard, name.aside, name.file) == 0)
		fd = open_regular(shard, name.file);
	return fd;
}

static int dir_read(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		uint64_t offset, void *buffer, size_t len, size_t *ret_len)
{
	_cleanup_close_ int fd = dir_open_object(store, ulid);

	return fd < 0 ? fd : io_pread_full(fd, buffer, len, (off_t)offset, ret_len);
}

static int dir_remove(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	struct object_dir *dir = object_dir_of(store);
	struct object_name name;

	object_name_format(ulid, &name);
	_cleanup_close_ int fd = object_dir_shard(dir, name.shard);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int r = dirty_add(&dir->removed, name.shard, fd);
	if (r == 0)
		r = durable_unlink(fd, name.file);
	if (r == 0)
		r = durable_unlink(fd, name.aside);
	return r;
}

/* ---- The folder ---- */

static int dir_free_bytes(struct object_store *store, uint64_t *ret_free_bytes)
{
	struct statvfs sv;

	if (fstatvfs(object_dir_of(store)->fd, &sv) < 0)
		return -errno;
	*ret_free_bytes = (uint64_t)sv.f_bavail * sv.f_frsize;
	return 0;
}

static void dir_describe(const struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		char *ret_text, size_t len)
{
	struct object_name name;

	object_name_format(ulid, &name);
	snprintf(ret_text, len, "%s/%s", name.shard, name.file);
}

static void dir_close(struct object_store *store)
{
	struct object_dir *dir = object_dir_of(store);

	(void)dir_sync_published(store);
	(void)dir_sync_removed(store);
	pthread_mutex_destroy(&dir->published.lock);
	pthread_mutex_destroy(&dir->removed.lock);
	pthread_mutex_destroy(&dir->witness_lock);
	close(dir->fd);
	free(dir);
}

static const struct object_store_ops dir_ops = {
		.create = dir_create,
		.read_back = dir_read_back,
		.publish = dir_publish,
		.draft_free = dir_draft_free,
		.sync_published = dir_sync_published,
		.open_object = dir_open_object,
		.read = dir_read,
		.remove = dir_remove,
		.sync_removed = dir_sync_removed,
		.sweep = object_dir_sweep,
		.witness_get = object_dir_witness_get,
		.witness_put = object_dir_witness_put,
		.free_bytes = dir_free_bytes,
		.describe = dir_describe,
		.close = dir_close,
};

int object_dir_open(const char *location, struct object_store **ret_store)
{
	struct object_dir *dir;

	if (mkdir(location, 0750) < 0 && errno != EEXIST)
		return -errno;
	_cleanup_close_ int fd = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = calloc(1, sizeof(*dir));
	if (!dir)
		return -ENOMEM;
	dir->store.ops = &dir_ops;
	dir->fd = TAKE_FD(fd);
	pthread_mutex_init(&dir->published.lock, NULL);
	pthread_mutex_init(&dir->removed.lock, NULL);
	pthread_mutex_init(&dir->witness_lock, NULL);
	*ret_store = &dir->store;
	return 0;
}
