#include "daemon/keeper/root/mirror_place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "storage/tpm2/root_tpm2.h"

#define FILE_NAME "root.slots"

int mirror_say(int r, char why[static ROOT_TROUBLE_BYTES], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, ROOT_TROUBLE_BYTES, format, ap);
	va_end(ap);
	return r;
}

static void folder_of(const struct mirror_row *row, char ret_name[static 32])
{
	snprintf(ret_name, 32, "mirror-%" PRId64, row->id);
}

/* The directory with the mirror's file: of the root itself, or of the way to it in a TPM. */
static int open_folder(const struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES])
{
	char name[32];
	int fd;

	folder_of(row, name);
	if (row->kind == MIRROR_FILE)
		fd = open(row->location, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	else
		fd = openat(vault->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	int r = -errno;
	return mirror_say(r, why, "cannot open %s: %s",
			row->kind == MIRROR_FILE ? row->location : name, error_text(r));
}

/* Who can write to the folder could put another file in the place of this one. */
static int check_folder(const struct vault *vault, int fd, const char *place,
		char why[static ROOT_TROUBLE_BYTES])
{
	struct stat st, own;

	if (fstat(fd, &st) < 0 || fstat(vault->dir_fd, &own) < 0)
		return mirror_say(-errno, why, "cannot look at %s: %s", place, error_text(-errno));
	if (st.st_dev == own.st_dev && st.st_ino == own.st_ino)
		return mirror_say(-RE_REFUSED, why, "%s is the keeper's own directory", place);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return mirror_say(-RE_REFUSED, why,
				"others than its owner can write to %s: chmod go-w first", place);
	return 0;
}

static int say_file(int r, const char *place, char why[static ROOT_TROUBLE_BYTES])
{
	if (r == -RE_MOVED)
		return mirror_say(r, why,
				"%s/" FILE_NAME " is a copy, not the file that was made there",
				place);
	if (r == -ENOENT)
		return mirror_say(r, why, "there is no " FILE_NAME " in %s: is the medium mounted?",
				place);
	if (r == -EEXIST)
		return mirror_say(r, why, "there is a " FILE_NAME " in %s already", place);
	return r < 0 ? mirror_say(r, why, "%s/" FILE_NAME ": %s", place, error_text(r)) : r;
}

/* r, with the TPM's own sentence. */
static int say_tpm(int r, const struct reason *reason, char why[static ROOT_TROUBLE_BYTES])
{
	return r < 0 ? mirror_say(r, why, "%s", reason_text(reason, r)) : r;
}

int mirror_place_open(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES], struct root_provider **ret_provider)
{
	_cleanup_close_ int fd = open_folder(vault, row, why);
	struct reason reason = {""};
	const struct root_tpm2_options options = {.tcti = row->location, .reason = &reason};

	if (fd < 0)
		return fd;
	if (row->kind == MIRROR_FILE)
		return say_file(root_file_open(fd, false, ret_provider), row->location, why);
	return say_tpm(root_tpm2_open(fd, &options, ret_provider), &reason, why);
}

static int overwrite(struct root_provider *provider)
{
	struct root_set *alone = root_set_new();
	struct root_member member = {.assurance = provider->assurance, .provider = provider};
	int r = alone ? root_set_add(alone, &member) : -ENOMEM;

	for (unsigned slot = 0; slot < ROOT_SLOTS && r == 0; slot++)
		r = root_set_clear(alone, 0, slot);
	if (alone)
		root_set_free(alone);
	else
		root_provider_free(provider);
	return r;
}

/* 1 when a slot holds a root of up to this epoch. */
static int holds_root(struct root_provider *provider, uint64_t epoch)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	int r = record && image ? 0 : -RE_MLOCK;

	for (unsigned slot = 0; slot < ROOT_SLOTS && r == 0; slot++) {
		r = provider->ops->read(provider, slot, NULL, image);
		if (r == 0)
			r = root_record_decode(image, record) == 0 && record->epoch <= epoch;
	}
	return r;
}

static int remove_tpm2(struct vault *vault, int fd, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES])
{
	struct reason reason = {""};
	const struct root_tpm2_options options = {.tcti = row->location, .reason = &reason};
	char name[32];
	int r = say_tpm(root_tpm2_remove(fd, &options), &reason, why);

	folder_of(row, name);
	if (r == 0 && unlinkat(vault->dir_fd, name, AT_REMOVEDIR) < 0)
		r = mirror_say(-errno, why, "cannot remove %s: %s", name, error_text(-errno));
	return r;
}

static int create_file(struct vault *vault, int fd, const char *place,
		char why[static ROOT_TROUBLE_BYTES], struct root_provider **ret_provider)
{
	int r = check_folder(vault, fd, place, why);

	if (r < 0)
		return r;
	r = root_file_create(fd, ret_provider);
	if (r < 0 && r != -EEXIST)
		(void)durable_unlink(fd, FILE_NAME); /* half made, and empty */
	return say_file(r, place, why);
}

int mirror_place_create(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES], struct root_provider **ret_provider)
{
	_cleanup_close_ int fd = -1;
	struct reason reason = {""};
	const struct root_tpm2_options options = {.tcti = row->location, .reason = &reason};
	char name[32];

	folder_of(row, name);
	if (row->kind == MIRROR_TPM2 && mkdirat(vault->dir_fd, name, 0700) < 0 && errno != EEXIST)
		return mirror_say(-errno, why, "cannot make %s: %s", name, error_text(-errno));
	fd = open_folder(vault, row, why);
	if (fd < 0)
		return fd;
	if (row->kind == MIRROR_FILE)
		return create_file(vault, fd, row->location, why, ret_provider);
	int r = durable_sync(vault->dir_fd);
	if (r < 0)
		return mirror_say(r, why, "%s", error_text(r));
	r = say_tpm(root_tpm2_create(fd, &options, ret_provider), &reason, why);
	if (r < 0 && r != -EEXIST) {
		char ignored[ROOT_TROUBLE_BYTES];
		(void)remove_tpm2(vault, fd, row, ignored);
	}
	return r;
}

/* A file without a root; or half made. One with a root has come there since, and is somebody
 * else's. */
static int remove_file(int fd, const struct mirror_row *row, char why[static ROOT_TROUBLE_BYTES])
{
	struct root_provider *provider;
	int r = root_file_open(fd, false, &provider);

	if (r == 0) {
		r = holds_root(provider, UINT64_MAX);
		root_provider_free(provider);
	}
	if (r > 0 || r == -RE_MOVED)
		return 0;
	if (r == 0 || r == -RE_CORRUPT)
		r = durable_unlink(fd, FILE_NAME);
	if (r == 0)
		r = durable_sync(fd);
	return r == -ENOENT ? 0 : say_file(r, row->location, why);
}

static int remove_empty(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES])
{
	_cleanup_close_ int fd = open_folder(vault, row, why);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return row->kind == MIRROR_FILE ? remove_file(fd, row, why)
					: remove_tpm2(vault, fd, row, why);
}

int mirror_place_note(struct vault *vault, struct mirror_row *row, enum mirror_state state)
{
	struct mirror_row noted = *row;
	int r = db_begin(vault->db);

	noted.state = state;
	if (r == 0)
		r = mirror_table_put(vault->db, &noted);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0)
		db_rollback(vault->db);
	else
		row->state = state;
	return r;
}

int mirror_place_is_back(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES])
{
	struct root_provider *provider;
	int r = mirror_place_open(vault, row, why, &provider);

	if (r < 0)
		return r;
	r = holds_root(provider, row->given_up_epoch);
	root_provider_free(provider);
	if (r == 0)
		return mirror_say(-RE_REFUSED, why,
				"what is at %s is not what was given up: it holds no root of that time",
				row->location);
	return r < 0 ? mirror_say(r, why, "%s: %s", row->location, error_text(r)) : 0;
}

int mirror_place_retire(
		struct vault *vault, struct mirror_row *row, char why[static ROOT_TROUBLE_BYTES])
{
	struct root_provider *provider;
	int r = 0;

	if (row->state != MIRROR_EMPTY) {
		r = mirror_place_open(vault, row, why, &provider);
		if (r < 0)
			return r;
		r = overwrite(provider);
		if (r == 0)
			r = mirror_place_note(vault, row, MIRROR_EMPTY);
		if (r < 0)
			mirror_say(r, why, "%s: %s", row->location, error_text(r));
	}
	return r < 0 ? r : remove_empty(vault, row, why);
}

int mirror_place_check(struct vault *vault, const struct mirror_row *row,
		const struct root_provider *provider, char why[static ROOT_TROUBLE_BYTES])
{
	_cleanup_close_ int fd = row->kind == MIRROR_FILE ? open_folder(vault, row, why) : -1;

	if (row->kind != MIRROR_FILE)
		return 0;
	return fd < 0 ? fd : say_file(root_file_check(provider, fd), row->location, why);
}

bool mirror_place_is_near(const struct vault *vault, const struct mirror_row *row)
{
	struct stat st, own;

	return row->kind == MIRROR_FILE && stat(row->location, &st) == 0 &&
	       fstat(vault->dir_fd, &own) == 0 && st.st_dev == own.st_dev;
}
