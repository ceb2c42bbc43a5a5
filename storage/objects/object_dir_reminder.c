/* The reminders of a folder: small files reminder-EPOCH-TAG beside the witness. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "storage/objects/object_dir.h"

#define REMINDER_PREFIX "reminder-"
#define TAG_CHARS       (2 * OBJECT_STORE_TAG_BYTES)
#define REMINDER_BYTES  (sizeof(REMINDER_PREFIX) + 20 + 1 + TAG_CHARS)

static void reminder_name(uint64_t epoch, const uint8_t tag[static OBJECT_STORE_TAG_BYTES],
		char ret_name[static REMINDER_BYTES])
{
	char hex[TAG_CHARS + 1];

	sodium_bin2hex(hex, sizeof(hex), tag, OBJECT_STORE_TAG_BYTES);
	snprintf(ret_name, REMINDER_BYTES, REMINDER_PREFIX "%" PRIu64 "-%s", epoch, hex);
}

/* Exactly a name that reminder_name() makes. */
static bool reminder_read_name(const char *name, uint64_t *ret_epoch)
{
	uint8_t tag[OBJECT_STORE_TAG_BYTES];
	char hex[TAG_CHARS + 1], expected[REMINDER_BYTES];
	size_t len;

	if (sscanf(name, REMINDER_PREFIX "%" SCNu64 "-%32[0-9a-f]", ret_epoch, hex) != 2)
		return false;
	if (sodium_hex2bin(tag, sizeof(tag), hex, strlen(hex), NULL, &len, NULL) != 0 ||
			len != sizeof(tag))
		return false;
	reminder_name(*ret_epoch, tag, expected);
	return strcmp(name, expected) == 0;
}

int object_dir_reminder_put(struct object_store *store, uint64_t epoch,
		const uint8_t tag[static OBJECT_STORE_TAG_BYTES], const void *data, size_t len)
{
	char name[REMINDER_BYTES];

	reminder_name(epoch, tag, name);
	int r = durable_create_at(object_dir_of(store)->fd, name, data, len, 0440);
	return r == -EEXIST ? 0 : r;
}

static int reminder_read(
		struct object_dir *dir, const char *name, object_reminder visit, void *context)
{
	uint8_t data[OBJECT_STORE_REMINDER_MAX + 1];
	size_t len;
	_cleanup_close_ int fd =
			openat(dir->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	int r = io_pread_full(fd, data, sizeof(data), 0, &len);
	if (r < 0)
		return r;
	return visit(context, data, len > OBJECT_STORE_REMINDER_MAX ? 0 : len);
}

int object_dir_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context)
{
	struct object_dir *dir = object_dir_of(store);
	_cleanup_closedir_ DIR *entries = object_dir_list(dir->fd);
	struct dirent *entry;
	int r = 0;

	if (!entries)
		return -errno;
	while (r == 0 && (entry = readdir(entries))) {
		uint64_t of;
		if (reminder_read_name(entry->d_name, &of) && of == epoch)
			r = reminder_read(dir, entry->d_name, visit, context);
	}
	return r;
}

int object_dir_reminder_expire(struct object_store *store, uint64_t epoch)
{
	struct object_dir *dir = object_dir_of(store);
	_cleanup_closedir_ DIR *entries = object_dir_list(dir->fd);
	struct dirent *entry;
	int r = 0;

	if (!entries)
		return -errno;
	while (r == 0 && (entry = readdir(entries))) {
		uint64_t of;
		if (reminder_read_name(entry->d_name, &of) && of < epoch)
			r = durable_unlink(dir->fd, entry->d_name);
	}
	return r;
}
