/* Finds the kind of a store by its location, and calls its table. */
#include "storage/objects/object_table.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

int object_store_open(const char *location, struct object_store **ret_store)
{
	static const struct {
		const char *prefix;
		int (*open)(const char *location, struct object_store **ret_store);
	} kinds[] = {
			{"/", object_dir_open},
			{"memory:", object_memory_open},
	};

	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		if (strncmp(location, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].open(location, ret_store);
	}
	return -EPROTONOSUPPORT;
}

struct object_store *object_store_close(struct object_store *store)
{
	if (store)
		store->ops->close(store);
	return NULL;
}

int object_store_create(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		struct object_draft **ret_draft)
{
	return store->ops->create(store, ulid, ret_draft);
}

int object_store_draft_fd(const struct object_draft *draft)
{
	return draft->given_fd >= 0 ? draft->given_fd : draft->fd;
}

void object_store_draft_given(struct object_draft *draft)
{
	close_p(&draft->given_fd);
	draft->given_fd = -1;
}

int object_store_own(struct object_draft *draft)
{
	object_store_draft_given(draft);
	return draft->store->ops->own(draft);
}

int object_store_read_back(struct object_draft *draft, uint64_t offset, void *buffer, size_t len,
		size_t *ret_len)
{
	return draft->store->ops->read_back(draft, offset, buffer, len, ret_len);
}

int object_store_publish(struct object_draft *draft)
{
	return draft->store->ops->publish(draft);
}

struct object_draft *object_store_draft_free(struct object_draft *draft)
{
	if (draft)
		draft->store->ops->draft_free(draft);
	return NULL;
}

int object_store_sync_published(struct object_store *store)
{
	return store->ops->sync_published(store);
}

int object_store_open_object(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	return store->ops->open_object(store, ulid);
}

int object_store_read(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		uint64_t offset, void *buffer, size_t len, size_t *ret_len)
{
	return store->ops->read(store, ulid, offset, buffer, len, ret_len);
}

int object_store_remove(struct object_store *store, const uint8_t ulid[static ULID_BYTES])
{
	return store->ops->remove(store, ulid);
}

int object_store_sync_removed(struct object_store *store)
{
	return store->ops->sync_removed(store);
}

int object_store_sweep_begin(struct object_store *store, uint64_t since_ms, object_known known,
		void *context, struct object_sweep **ret_sweep)
{
	struct object_sweep *sweep;
	int r = store->ops->sweep_begin(store, since_ms, &sweep);

	if (r < 0)
		return r;
	*sweep = (struct object_sweep){store, since_ms, known, context};
	*ret_sweep = sweep;
	return 0;
}

int object_store_sweep_stride(struct object_sweep *sweep, size_t max, size_t *set_aside)
{
	return sweep->store->ops->sweep_stride(sweep, max, set_aside);
}

struct object_sweep *object_store_sweep_end(struct object_sweep *sweep)
{
	if (sweep)
		sweep->store->ops->sweep_end(sweep);
	return NULL;
}

int object_store_witness_get(struct object_store *store, uint64_t *ret_epoch)
{
	return store->ops->witness_get(store, ret_epoch);
}

int object_store_witness_put(struct object_store *store, uint64_t epoch)
{
	return store->ops->witness_put(store, epoch);
}

int object_store_check(struct object_store *store)
{
	return store->ops->check(store);
}

int object_store_follow(struct object_store *store)
{
	return store->ops->follow(store);
}

int object_store_reminder_put(struct object_store *store, uint64_t epoch,
		const uint8_t tag[static OBJECT_STORE_TAG_BYTES], const void *data, size_t len)
{
	return len == 0 || len > OBJECT_STORE_REMINDER_MAX
			       ? -EINVAL
			       : store->ops->reminder_put(store, epoch, tag, data, len);
}

int object_store_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context)
{
	return store->ops->reminder_each(store, epoch, visit, context);
}

int object_store_reminder_expire(struct object_store *store, uint64_t epoch)
{
	return store->ops->reminder_expire(store, epoch);
}

int object_store_free_bytes(struct object_store *store, uint64_t *ret_free_bytes)
{
	return store->ops->free_bytes(store, ret_free_bytes);
}

void object_store_describe(const struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		char *ret_text, size_t len)
{
	store->ops->describe(store, ulid, ret_text, len);
}
