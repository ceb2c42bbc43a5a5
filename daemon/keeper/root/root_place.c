#include "daemon/keeper/root/root_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "storage/root/root_pair.h"
#include "storage/tpm2/root_tpm2.h"
#include "storage/tpm2/root_tpm2_locator.h"

#define FILE_PLACE "root.slots"

static bool exists(const struct vault *vault, const char *name)
{
	struct stat st;

	return fstatat(vault->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool root_place_exists(const struct vault *vault)
{
	return exists(vault, FILE_PLACE) || exists(vault, ROOT_TPM2_FILE);
}

static struct root_tpm2_options tpm_options(const struct vault *vault, struct reason *reason)
{
	return (struct root_tpm2_options){.tcti = vault->config->tpm_device, .reason = reason};
}

static int print_reason(int r, const struct reason *reason, FILE *errors)
{
	if (r < 0 && errors)
		fprintf(errors, "%s\n", reason_text(reason, r));
	return r;
}

static int open_tpm(struct vault *vault, struct root_provider **ret, FILE *errors)
{
	struct reason reason = {""};
	const struct root_tpm2_options options = tpm_options(vault, &reason);

	return print_reason(root_tpm2_open(vault->dir_fd, &options, ret), &reason, errors);
}

static int remove_tpm(struct vault *vault, FILE *errors)
{
	struct reason reason = {""};
	const struct root_tpm2_options options = tpm_options(vault, &reason);

	return print_reason(root_tpm2_remove(vault->dir_fd, &options), &reason, errors);
}

static bool wants_tpm(const struct vault *vault)
{
	return strcmp(vault->config->root, "tpm2") == 0;
}

static bool is_file(const struct root_provider *provider)
{
	return strcmp(provider->assurance, "file") == 0;
}

/* The keeper's own place; NULL when it is away. */
static struct root_provider *own(const struct vault *vault)
{
	return vault->root->member[0].provider;
}

bool root_place_is_file(const struct vault *vault)
{
	return strcmp(vault->root->member[0].assurance, "file") == 0;
}

const char *root_place_assurance(const struct vault *vault)
{
	return exists(vault, ROOT_TPM2_FILE) && !exists(vault, FILE_PLACE) ? "virtual-tpm" : "file";
}

static int create_place(struct vault *vault, bool tpm, struct root_provider **ret, FILE *errors)
{
	struct reason reason = {""};
	const struct root_tpm2_options options = tpm_options(vault, &reason);

	return tpm ? print_reason(root_tpm2_create(vault->dir_fd, &options, ret), &reason, errors)
		   : root_file_create(vault->dir_fd, ret);
}

int root_place_create(struct vault *vault, struct root_provider **ret_provider, FILE *errors)
{
	return create_place(vault, wants_tpm(vault), ret_provider, errors);
}

/* A file, when there is one: what went wrong with it in words. */
static int open_file(struct vault *vault, bool adopt, struct root_provider **ret, FILE *errors)
{
	const char *dir = vault->config->keeper_dir;
	int r = root_file_open(vault->dir_fd, adopt, ret);

	if (r == -RE_MOVED)
		fprintf(errors,
				"%s/root.slots is a copy, not the file this vault was using: epoch "
				"mismatch cannot be ruled out, and a copy from before an erasure would "
				"bring back what was destroyed. If this is the newest backup, run once "
				"recseal-keeper --accept-restored=EPOCH, the epoch that `recsealctl "
				"status` or the newest \"destroyed\" journal entry last showed\n",
				dir);
	else if (r == -ENOENT)
		fprintf(errors,
				"%s holds keeper.db but no root.slots: restore it, if there is a copy made "
				"after the last erasure; without it no recording can be opened; no new root "
				"is made\n",
				dir);
	else if (r == -RE_CORRUPT)
		fprintf(errors,
				"the root file %s/root.slots is damaged: restore it, if there is a copy made "
				"after the last erasure; no new root is made. If only the note of where it "
				"belongs is damaged, --accept-restored=EPOCH repairs that\n",
				dir);
	else if (r < 0)
		fprintf(errors, "cannot open the root file in %s: %s\n", dir, error_text(r));
	return r;
}

/* Which of the provider's slots holds a root: 1, or 0 when none does, and then the first is as good
 * as any. */
static int valid_slot(struct root_provider *provider, unsigned *ret_slot)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	if (!record || !image)
		return -RE_MLOCK;
	*ret_slot = 0;
	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		int r = provider->ops->read(provider, i, NULL, image);
		if (r < 0)
			return r;
		if (root_record_decode(image, record) == 0) {
			*ret_slot = i;
			return 1;
		}
	}
	return 0;
}

static int join(struct root_provider *const both[static ROOT_SLOTS],
		struct root_provider **ret_pair)
{
	unsigned slot[ROOT_SLOTS];

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		int r = valid_slot(both[i], &slot[i]);
		if (r < 0)
			return r;
	}
	struct root_provider *pair = root_pair_new(both, slot);
	if (!pair)
		return -ENOMEM;
	*ret_pair = pair;
	return 0;
}

/* The other place was only half made when a move was cut short. If this one holds a root, that is
 * the one; the half made goes. */
static int keep_alone(struct vault *vault, struct root_provider *whole,
		struct root_provider **ret_provider, FILE *errors)
{
	unsigned slot;
	int r = valid_slot(whole, &slot);

	if (r <= 0)
		return r < 0 ? r : -RE_NO_ROOT;
	r = is_file(whole) ? remove_tpm(vault, errors) : durable_unlink(vault->dir_fd, FILE_PLACE);
	if (r == 0)
		r = durable_sync(vault->dir_fd);
	if (r == 0)
		*ret_provider = whole;
	return r;
}

/* A move was cut short. */
static int open_both(
		struct vault *vault, bool adopt, struct root_provider **ret_provider, FILE *errors)
{
	struct root_provider *both[ROOT_SLOTS] = {NULL, NULL};
	int file = open_file(vault, adopt, &both[0], errors);
	int tpm = open_tpm(vault, &both[1], errors);
	int r = file < 0 ? file : tpm;

	if (file == 0 && tpm == 0)
		r = join(both, ret_provider);
	else if (file == 0 && tpm == -RE_NO_ROOT)
		r = keep_alone(vault, both[0], ret_provider, errors);
	else if (tpm == 0 && file == -RE_CORRUPT)
		r = keep_alone(vault, both[1], ret_provider, errors);
	if (r < 0) {
		root_provider_free(both[0]);
		root_provider_free(both[1]);
	}
	return r;
}

int root_place_open(
		struct vault *vault, bool adopt, struct root_provider **ret_provider, FILE *errors)
{
	bool file = exists(vault, FILE_PLACE), tpm = exists(vault, ROOT_TPM2_FILE);

	if (file && tpm)
		return open_both(vault, adopt, ret_provider, errors);
	return tpm ? open_tpm(vault, ret_provider, errors)
		   : open_file(vault, adopt, ret_provider, errors);
}

/* Overwrites all of a place that does not hold the root any more, and removes it. */
static int remove_place(struct vault *vault, struct root_provider *provider, FILE *errors)
{
	uint8_t image[ROOT_IMAGE_BYTES] = {0};
	bool file = is_file(provider);
	int r = 0;

	for (unsigned i = 0; i < ROOT_SLOTS && r == 0; i++)
		r = provider->ops->write(provider, i, image, NULL);
	root_provider_free(provider);
	if (r == 0 && !file)
		r = remove_tpm(vault, errors);
	if (r == 0 && file)
		r = durable_unlink(vault->dir_fd, FILE_PLACE);
	return r < 0 ? r : durable_sync(vault->dir_fd);
}

int root_place_settle(struct vault *vault, FILE *errors)
{
	struct root_provider *kept, *other;

	if (!own(vault) || !root_pair_is(own(vault)))
		return 0;
	root_pair_part(own(vault), vault->root_slot, &kept, &vault->root_slot, &other);
	root_set_exchange(vault->root, 0, kept);
	int r = remove_place(vault, other, errors);
	if (r < 0)
		fprintf(errors, "the root is in its new place, but the old one cannot be removed: %s\n",
				error_text(r));
	return r;
}

int root_place_remove(struct vault *vault)
{
	int r = remove_tpm(vault, NULL);

	return r < 0 ? r : durable_unlink(vault->dir_fd, FILE_PLACE);
}

int root_place_abandon(struct vault *vault)
{
	static const char *const names[] = {FILE_PLACE, ROOT_TPM2_FILE};
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(names) && r == 0; i++) {
		char left[64];
		snprintf(left, sizeof(left), "%s.given-up", names[i]);
		if (renameat(vault->dir_fd, names[i], vault->dir_fd, left) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r < 0 ? r : durable_sync(vault->dir_fd);
}

int root_place_check(const struct vault *vault, FILE *errors)
{
	if (!own(vault) || is_file(own(vault)) != wants_tpm(vault))
		return 0;
	fprintf(errors,
			"the configuration says Root=%s, but the root of this vault is kept elsewhere (assurance "
			"%s): put that right, or run once recseal-keeper --move-root\n",
			vault->config->root, own(vault)->assurance);
	return -RE_REFUSED;
}
