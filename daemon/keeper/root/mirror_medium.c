#include "daemon/keeper/root/mirror_medium.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

static void medium_folder_name(const struct mirror_row *row, char ret_name[static 32])
{
	snprintf(ret_name, 32, "mirror-%" PRId64, row->id);
}

/* The directory with the mirror's file: root.slots, or the locator of its TPM. */
static int medium_open_folder(
		const struct root *root, const struct mirror_row *row, struct reason *reason)
{
	char name[32];
	int fd;

	medium_folder_name(row, name);
	/* O_NOFOLLOW: a link here could lead the root to another medium. */
	if (row->kind == MIRROR_FILE)
		fd = open(row->location, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	else
		fd = openat(root->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	int r = -errno;
	return reason_set(reason, r, "cannot open %s: %s",
			row->kind == MIRROR_FILE ? row->location : name, error_text(r));
}

/* Anybody who can write to the folder could replace the root file by another. */
static int medium_check_folder(
		const struct root *root, int fd, const char *location, struct reason *reason)
{
	struct stat st, own;

	if (fstat(fd, &st) < 0 || fstat(root->dir_fd, &own) < 0)
		return reason_set(reason, -errno, "cannot examine %s: %s", location,
				error_text(-errno));
	if (st.st_dev == own.st_dev && st.st_ino == own.st_ino)
		return reason_set(reason, -RE_REFUSED,
				"%s is the keeper's own directory: a mirror belongs on other media",
				location);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return reason_set(reason, -RE_REFUSED,
				"others than its owner can write to %s: run chmod go-w on it first",
				location);
	return 0;
}

static int medium_explain_file(int r, const char *location, struct reason *reason)
{
	if (r == -RE_MOVED)
		return reason_set(reason, r,
				"%s/" FILE_NAME
				" is a copy, not the file that was made there: put the original "
				"back",
				location);
	if (r == -ENOENT)
		return reason_set(reason, r,
				"there is no " FILE_NAME " in %s: is the medium mounted?",
				location);
	if (r == -EEXIST)
		return reason_set(reason, r,
				"there is a " FILE_NAME " in %s already: give another directory",
				location);
	return r < 0 ? reason_set(reason, r, "%s/" FILE_NAME ": %s", location, error_text(r)) : r;
}

int mirror_medium_open(struct root *root, const struct mirror_row *row, struct reason *reason,
		struct root_provider **ret_provider)
{
	_cleanup_close_ int fd = medium_open_folder(root, row, reason);

	if (fd < 0)
		return fd;
	if (row->kind == MIRROR_FILE)
		return medium_explain_file(
				/* Never adopted: a mirror that was copied is replaced, not
				 * accepted. */
				root_file_open(fd, false, ret_provider), row->location, reason);
	const struct root_tpm2_options options = {.tcti = row->location, .reason = reason};
	return root_tpm2_open(fd, &options, ret_provider);
}

static int medium_overwrite(struct root_provider *provider)
{
	struct root_set *alone = root_set_new();
	struct root_member member = {.assurance = provider->assurance, .provider = provider};
	int r = alone ? root_set_add(alone, &member) : -ENOMEM;

	/* Each slot is read back: a medium that ignores writes is not overwritten. */
	for (unsigned slot = 0; slot < ROOT_SLOTS && r == 0; slot++)
		r = root_set_clear(alone, 0, slot);
	if (alone)
		root_set_free(alone);
	else
		root_provider_free(provider);
	return r;
}

/* 1 when a slot holds a root of up to this epoch. */
static int medium_holds_root(struct root_provider *provider, uint64_t epoch)
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

static int medium_remove_tpm2(
		struct root *root, int fd, const struct mirror_row *row, struct reason *reason)
{
	const struct root_tpm2_options options = {.tcti = row->location, .reason = reason};
	char name[32];
	int r = root_tpm2_remove(fd, &options);

	medium_folder_name(row, name);
	if (r == 0 && unlinkat(root->dir_fd, name, AT_REMOVEDIR) < 0)
		r = reason_set(reason, -errno, "cannot remove %s: %s", name, error_text(-errno));
	return r;
}

static int medium_create_file(struct root *root, int fd, const char *location,
		struct reason *reason, struct root_provider **ret_provider)
{
	int r = medium_check_folder(root, fd, location, reason);

	if (r < 0)
		return r;
	r = root_file_create(fd, ret_provider);
	if (r < 0 && r != -EEXIST)
		(void)durable_unlink(fd, FILE_NAME); /* half made, and empty */
	return medium_explain_file(r, location, reason);
}

int mirror_medium_create(struct root *root, const struct mirror_row *row, struct reason *reason,
		struct root_provider **ret_provider)
{
	_cleanup_close_ int fd = -1;
	char name[32];

	medium_folder_name(row, name);
	/* The locator of a TPM lives in the keeper's directory, one folder for each mirror. */
	if (row->kind == MIRROR_TPM2 && mkdirat(root->dir_fd, name, 0700) < 0 && errno != EEXIST)
		return reason_set(reason, -errno, "cannot make %s: %s", name, error_text(-errno));
	fd = medium_open_folder(root, row, reason);
	if (fd < 0)
		return fd;
	if (row->kind == MIRROR_FILE)
		return medium_create_file(root, fd, row->location, reason, ret_provider);
	/* Before the TPM is written: its indices must be found again after a crash. */
	int r = durable_sync(root->dir_fd);
	if (r < 0)
		return reason_set_error(reason, r, "%s", root->settings.keeper_dir);
	const struct root_tpm2_options options = {.tcti = row->location, .reason = reason};
	r = root_tpm2_create(fd, &options, ret_provider);
	if (r < 0 && r != -EEXIST)
		(void)medium_remove_tpm2(root, fd, row, NULL); /* half made, and empty */
	return r;
}

/* Removes a file that is half made or holds no root. A file with a root was put there since, and is
 * not ours. */
static int medium_remove_file(int fd, const struct mirror_row *row, struct reason *reason)
{
	struct root_provider *provider;
	int r = root_file_open(fd, false, &provider);

	if (r == 0) {
		r = medium_holds_root(provider, UINT64_MAX);
		root_provider_free(provider);
	}
	if (r > 0 || r == -RE_MOVED)
		return 0;
	if (r == 0 || r == -RE_CORRUPT)
		r = durable_unlink(fd, FILE_NAME);
	if (r == 0)
		r = durable_sync(fd);
	return r == -ENOENT ? 0 : medium_explain_file(r, row->location, reason);
}

static int medium_remove_empty(
		struct root *root, const struct mirror_row *row, struct reason *reason)
{
	_cleanup_close_ int fd = medium_open_folder(root, row, reason);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return row->kind == MIRROR_FILE ? medium_remove_file(fd, row, reason)
					: medium_remove_tpm2(root, fd, row, reason);
}

int mirror_medium_note(struct root *root, struct mirror_row *row, enum mirror_state state)
{
	struct mirror_row noted = *row;
	int r = db_begin(root->db);

	noted.state = state;
	if (r == 0)
		r = mirror_table_put(root->db, &noted);
	if (r == 0)
		r = db_commit(root->db);
	if (r < 0)
		db_rollback(root->db);
	else
		/* The row in memory follows the database, never the other way round. */
		row->state = state;
	return r;
}

int mirror_medium_is_back(struct root *root, const struct mirror_row *row, struct reason *reason)
{
	struct root_provider *provider;
	int r = mirror_medium_open(root, row, reason, &provider);

	if (r < 0)
		return r;
	r = medium_holds_root(provider, row->given_up_epoch);
	root_provider_free(provider);
	if (r == 0)
		return reason_set(reason, -RE_REFUSED,
				"%s holds no root of the epoch in which the mirror was given up: "
				"this is not that mirror",
				row->location);
	return r < 0 ? reason_set(reason, r, "%s: %s", row->location, error_text(r)) : 0;
}

int mirror_medium_retire(struct root *root, struct mirror_row *row, struct reason *reason)
{
	struct root_provider *provider;
	int r = 0;

	if (row->state != MIRROR_EMPTY) {
		r = mirror_medium_open(root, row, reason, &provider);
		if (r < 0)
			return r;
		r = medium_overwrite(provider);
		/* Noted between overwriting and removing: a file that is gone by then is no
		 * loss. */
		if (r == 0)
			r = mirror_medium_note(root, row, MIRROR_EMPTY);
		if (r < 0)
			reason_set(reason, r, "%s: %s", row->location, error_text(r));
	}
	return r < 0 ? r : medium_remove_empty(root, row, reason);
}

int mirror_medium_check(struct root *root, const struct mirror_row *row,
		const struct root_provider *provider, struct reason *reason)
{
	_cleanup_close_ int fd =
			row->kind == MIRROR_FILE ? medium_open_folder(root, row, reason) : -1;

	if (row->kind != MIRROR_FILE)
		return 0;
	return fd < 0 ? fd
		      : medium_explain_file(root_file_check(provider, fd), row->location, reason);
}

bool mirror_medium_is_near(const struct root *root, const struct mirror_row *row)
{
	struct stat st, own;

	return row->kind == MIRROR_FILE && stat(row->location, &st) == 0 &&
	       fstat(root->dir_fd, &own) == 0 && st.st_dev == own.st_dev;
}
