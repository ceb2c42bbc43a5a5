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
#include "storage/objects/object_own.h"
#include "storage/objects/object_table.h"

#define FREE_BYTES (UINT64_C(1) << 40)

struct memory_object {
	uint8_t ulid[ULID_BYTES];
	int fd;
	bool aside;   /* set aside by a sweep */
	bool drafted; /* its draft is still open */
	struct memory_object *next;
};

struct memory_reminder {
	uint64_t epoch;
	uint8_t tag[OBJECT_STORE_TAG_BYTES];
	size_t len;
	uint8_t data[OBJECT_STORE_REMINDER_MAX];
	struct memory_reminder *next;
};

struct memory_store {
	struct object_store store;
	pthread_mutex_t lock; /* of all below */
	struct memory_object *objects;
	uint64_t witness;
	struct memory_reminder *reminders;
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
	draft->given_fd = memfd_create("object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	draft->fd = draft->given_fd < 0 ? -errno : object_own_reader(draft->given_fd);
	if (draft->fd < 0) {
		int r = draft->fd;
		close_p(&draft->given_fd);
		free(draft);
		return r;
	}
	*ret_draft = draft;
	return 0;
}

/* Seals (fcntl(2), F_ADD_SEALS) cannot be taken off again, and are refused while the file is mapped
 * for writing. */
static int memory_seal(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	_cleanup_close_ int writable = open(path, O_RDWR | O_CLOEXEC);
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	return writable < 0 || fcntl(writable, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

static bool memory_is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_WRITE) && (seals & F_SEAL_SHRINK) &&
	       (seals & F_SEAL_GROW);
}

/* Somebody has it mapped, or has sealed it against our seals. */
static int memory_own_copy(struct object_draft *draft)
{
	_cleanup_close_ int copy = memfd_create("object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t at = 0;
	int r = copy < 0 ? -errno : 1;

	while (r > 0)
		r = object_own_copy(draft->fd, copy, &at);
	int reader = r < 0 ? r : object_own_reader(copy);
	if (reader < 0)
		return reader;
	close(draft->fd);
	draft->fd = reader;
	return memory_seal(reader);
}

static int memory_own(struct object_draft *draft)
{
	if (memory_is_sealed(draft->fd) || memory_seal(draft->fd) == 0)
		return 0;
	return memory_own_copy(draft);
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
	object->drafted = true;
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
	struct memory_store *memory = memory_of(draft->store);

	pthread_mutex_lock(&memory->lock);
	struct memory_object *object = *memory_find(memory, draft->ulid);
	if (object)
		object->drafted = false;
	pthread_mutex_unlock(&memory->lock);
	close_p(&draft->given_fd);
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

static int memory_sweep_begin(
		struct object_store *store, uint64_t since_ms, struct object_sweep **ret_sweep)
{
	*ret_sweep = calloc(1, sizeof(**ret_sweep));
	return *ret_sweep ? 0 : -ENOMEM;
}

static void memory_sweep_end(struct object_sweep *sweep)
{
	free(sweep);
}

/* There are few: all in one stride. */
static int memory_sweep_stride(struct object_sweep *sweep, size_t max, size_t *set_aside)
{
	struct memory_store *memory = memory_of(sweep->store);
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (struct memory_object *o = memory->objects; o && r >= 0; o = o->next) {
		if (o->aside || o->drafted || object_name_ms(o->ulid) < sweep->since_ms)
			continue;
		r = sweep->known(sweep->context, o->ulid);
		o->aside = r == 0;
		*set_aside += o->aside;
	}
	pthread_mutex_unlock(&memory->lock);
	return r < 0 ? r : 0;
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

static int memory_check(struct object_store *store)
{
	return 0;
}

static int memory_follow(struct object_store *store)
{
	return 0;
}

/* Where the reminder's link is, or the end of the list. The lock is held. */
static struct memory_reminder **memory_find_reminder(struct memory_store *memory, uint64_t epoch,
		const uint8_t tag[static OBJECT_STORE_TAG_BYTES])
{
	struct memory_reminder **link = &memory->reminders;

	while (*link && ((*link)->epoch != epoch ||
					memcmp((*link)->tag, tag, OBJECT_STORE_TAG_BYTES) != 0))
		link = &(*link)->next;
	return link;
}

static void memory_drop_reminder(struct memory_reminder **link)
{
	struct memory_reminder *gone = *link;

	*link = gone->next;
	free(gone);
}

static int memory_reminder_put(struct object_store *store, uint64_t epoch,
		const uint8_t tag[static OBJECT_STORE_TAG_BYTES], const void *data, size_t len)
{
	struct memory_store *memory = memory_of(store);
	struct memory_reminder *fresh = calloc(1, sizeof(*fresh));

	if (!fresh)
		return -ENOMEM;
	fresh->epoch = epoch;
	memcpy(fresh->tag, tag, sizeof(fresh->tag));
	memcpy(fresh->data, data, len);
	fresh->len = len;
	pthread_mutex_lock(&memory->lock);
	struct memory_reminder **link = memory_find_reminder(memory, epoch, tag);
	bool there = *link;
	if (!there)
		*link = fresh;
	pthread_mutex_unlock(&memory->lock);
	if (there)
		free(fresh);
	return 0;
}

static int memory_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context)
{
	struct memory_store *memory = memory_of(store);
	int r = 0;

	pthread_mutex_lock(&memory->lock);
	for (struct memory_reminder *one = memory->reminders; one && r == 0; one = one->next) {
		if (one->epoch == epoch)
			r = visit(context, one->data, one->len);
	}
	pthread_mutex_unlock(&memory->lock);
	return r;
}

static int memory_reminder_expire(struct object_store *store, uint64_t epoch)
{
	struct memory_store *memory = memory_of(store);

	pthread_mutex_lock(&memory->lock);
	for (struct memory_reminder **link = &memory->reminders; *link;) {
		if ((*link)->epoch < epoch)
			memory_drop_reminder(link);
		else
			link = &(*link)->next;
	}
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
	while (memory->reminders)
		memory_drop_reminder(&memory->reminders);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static const struct object_store_ops memory_ops = {
		.create = memory_create,
		.own = memory_own,
		.read_back = memory_read_back,
		.publish = memory_publish,
		.draft_free = memory_draft_free,
		.sync_published = memory_sync,
		.open_object = memory_open_object,
		.read = memory_read,
		.remove = memory_remove,
		.sync_removed = memory_sync,
		.sweep_begin = memory_sweep_begin,
		.sweep_stride = memory_sweep_stride,
		.sweep_end = memory_sweep_end,
		.witness_get = memory_witness_get,
		.witness_put = memory_witness_put,
		.check = memory_check,
		.follow = memory_follow,
		.reminder_put = memory_reminder_put,
		.reminder_each = memory_reminder_each,
		.reminder_expire = memory_reminder_expire,
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
