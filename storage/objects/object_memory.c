/* Objects in memory, a memfd each: the same promises as a folder's, except that they do not outlive
 * the process.
 * Kept in one list, which is searched from its head: for tests, with some thousand objects. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "storage/objects/object_name.h"
#include "storage/objects/object_table.h"

#define FREE_BYTES (UINT64_C(1) << 40)

struct memory_object {
	uint8_t ulid[ULID_BYTES];
	int fd;
	bool aside; /* set aside by a sweep */
	struct memory_object *next;
};

struct memory_store {
	struct object_store store;
	pthread_mutex_t lock; /* of all below */
	struct memory_object *objects;
	uint64_t witness;
};

static struct memory_store *memory_of(struct object_store *store)
{
	return (struct memory_store *)store;
}

/* Where the object's link is, or the end of the list. The lock is held. */
static struct memory_object **memory_find(
		struct memory_store *memory, const uint8_t ulid[static ULID_BYTES])
{
	struct memory_object **link = &memory->objects;

	while (*link && memcmp((*link)->ulid, ulid, ULID_BYTES) != 0)
		link = &(*link)->next;
	return link;
}

static int memory_create(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		struct object_draft **ret_draft)
{
	struct object_draft *draft = calloc(1, sizeof(*draft));

	if (!draft)
		return -ENOMEM;
	draft->store = store;
	memcpy(draft->ulid, ulid, ULID_BYTES);
	draft->fd = memfd_create("object", MFD_CLOEXEC);
	if (draft->fd < 0) {
		int r = -errno;
		free(draft);
		return r;
	}
	*ret_draft = draft;
	return 0;
}

static int memory_read_back(struct object_draft *draft, uint64_t offset, void *buffer, size_t len,
		size_t *ret_len)
{
	return io_pread_full(draft->fd, buffer, len, (off_t)offset, ret_len);
}

static int memory_publish(struct object_draft *draft)
{
	struct memory_store *memory = memory_of(draft->store);
	struct memory_object *object = calloc(1, sizeof(*object));
	int fd = fcntl(draft->fd, F_DUPFD_CLOEXEC, 3);

	if (!object || fd < 0) {
		int r = object ? -errno : -ENOMEM;
		free(object);
		close_p(&fd);
		return r;
	}
	memcpy(object->ulid, draft->ulid, ULID_BYTES);
	object->fd = fd;
	pthread_mutex_lock(&memory->lock);
	struct memory_object **link = memory_find(memory, draft->ulid);
	int r = *link ? -EEXIST : 0;
	if (r == 0)
		*link = object;
	pthread_mutex_unlock(&memory->lock);
	if (r < 0) {
		close(fd);
		free(object);
	}
	return r;
}

static void memory_draft_free(struct object_draft *draft)
{
	close(draft->fd);
	free(draft);
}

static int memory_sync(struct object_store *store)
{
	return 0;
}

static int memory_open_object(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	struct memory_store *memory = memory_of(store);
	char path[64];

	pthread_mutex_lock(&memory->lock);
	struct memory_object *object = *memory_find(memory, ulid);
	int fd = -ENOENT;
	if (object) {
		object->aside = false;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", object->fd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	pthread_mutex_unlock(&memory->lock);
	return fd;
}

static int memory_read(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		uint64_t offset, void *buffer, size_t len, size_t *ret_len)
{
	_cleanup_close_ int fd = memory_open_object(store, ulid);

	return fd < 0 ? fd : io_pread_full(fd, buffer, len, (off_t)offset, ret_len);
}

/* The lock is held, or nobody else is left. */
static void memory_drop(struct memory_object **link)
{
	struct memory_object *object = *link;

	*link = object->next;
	close(object->fd);
	free(object);
}

static int memory_remove(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	struct memory_store *memory = memory_of(store);

	pthread_mutex_lock(&memory->lock);
	struct memory_object **link = memory_find(memory, ulid);
	if (*link)
		memory_drop(link);
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static int memory_sweep(struct object_store *store, uint64_t since_ms, object_known known,
		void *context, size_t *ret_set_aside)
{
	struct memory_store *memory = memory_of(store);
	size_t set_aside = 0;
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (struct memory_object *o = memory->objects; o && r >= 0; o = o->next) {
		if (o->aside || object_name_ms(o->ulid) < since_ms)
			continue;
		r = known(context, o->ulid);
		o->aside = r == 0;
		set_aside += o->aside;
	}
	pthread_mutex_unlock(&memory->lock);
	if (r < 0)
		return r;
	*ret_set_aside = set_aside;
	return 0;
}

static int memory_witness_get(struct object_store *store, uint64_t *ret_epoch)
{
	struct memory_store *memory = memory_of(store);

	pthread_mutex_lock(&memory->lock);
	*ret_epoch = memory->witness;
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static int memory_witness_put(struct object_store *store, uint64_t epoch)
{
	struct memory_store *memory = memory_of(store);

	pthread_mutex_lock(&memory->lock);
	if (epoch > memory->witness)
		memory->witness = epoch;
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static int memory_free_bytes(struct object_store *store, uint64_t *ret_free_bytes)
{
	*ret_free_bytes = FREE_BYTES;
	return 0;
}

static void memory_describe(const struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		char *ret_text, size_t len)
{
	struct object_name name;

	object_name_format(ulid, &name);
	snprintf(ret_text, len, "%s", name.file);
}

static void memory_close(struct object_store *store)
{
	struct memory_store *memory = memory_of(store);

	while (memory->objects)
		memory_drop(&memory->objects);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static const struct object_store_ops memory_ops = {
		.create = memory_create,
		.read_back = memory_read_back,
		.publish = memory_publish,
		.draft_free = memory_draft_free,
		.sync_published = memory_sync,
		.open_object = memory_open_object,
		.read = memory_read,
		.remove = memory_remove,
		.sync_removed = memory_sync,
		.sweep = memory_sweep,
		.witness_get = memory_witness_get,
		.witness_put = memory_witness_put,
		.free_bytes = memory_free_bytes,
		.describe = memory_describe,
		.close = memory_close,
};

int object_memory_open(const char *location, struct object_store **ret_store)
{
	struct memory_store *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	memory->store.ops = &memory_ops;
	pthread_mutex_init(&memory->lock, NULL);
	*ret_store = &memory->store;
	return 0;
}
