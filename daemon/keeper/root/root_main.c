#include "daemon/keeper/root/root_main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

#define FILE_NAME "root.slots"

static bool main_exists(const struct root *root, const char *name)
{
	struct stat st;

	return fstatat(root->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool root_main_exists(const struct root *root)
{
	return main_exists(root, FILE_NAME) || main_exists(root, ROOT_TPM2_FILE);
}

static struct root_tpm2_options main_tpm_options(const struct root *root, struct reason *reason)
{
	return (struct root_tpm2_options){.tcti = root->settings.tpm_device, .reason = reason};
}

static bool main_wants_tpm(const struct root *root)
{
	return strcmp(root->settings.kind, "tpm2") == 0;
}

static bool provider_is_file(const struct root_provider *provider)
{
	return strcmp(provider->assurance, "file") == 0;
}

/* The main copy; NULL when it is away. */
static struct root_provider *main_provider(const struct root *root)
{
	return root->copies->member[0].provider;
}

bool root_main_is_file(const struct root *root)
{
	return strcmp(root->copies->member[0].assurance, "file") == 0;
}

const char *root_main_assurance(const struct root *root)
{
	return main_exists(root, ROOT_TPM2_FILE) && !main_exists(root, FILE_NAME) ? "virtual-tpm"
										  : "file";
}

static int main_create(
		struct root *root, bool tpm, struct root_provider **ret, struct reason *reason)
{
	const struct root_tpm2_options options = main_tpm_options(root, reason);

	return tpm ? root_tpm2_create(root->dir_fd, &options, ret)
		   : root_file_create(root->dir_fd, ret);
}

int root_main_create(struct root *root, struct root_provider **ret_provider, struct reason *reason)
{
	return main_create(root, main_wants_tpm(root), ret_provider, reason);
}

/* Opens the root file; the reason says what is wrong with it and what to do. */
static int main_open_file(
		struct root *root, bool adopt, struct root_provider **ret, struct reason *reason)
{
	const char *dir = root->settings.keeper_dir;
	int r = root_file_open(root->dir_fd, adopt, ret);

	if (r == -RE_MOVED)
		reason_set(reason, r,
				"%s/root.slots is a copy, not the file this vault was using: epoch "
				"mismatch cannot be ruled out. A copy from before an erasure would "
				"bring destroyed recordings back. If this is the newest copy, run "
				"recseal-keeper --accept-restored=EPOCH once. EPOCH is the epoch "
				"that `recsealctl status` or the newest \"destroyed\" journal "
				"entry last showed",
				dir);
	else if (r == -ENOENT)
		reason_set(reason, r,
				"%s holds keeper.db but no root.slots: without it no recording can "
				"be opened. Restore root.slots from a copy made after the last "
				"erasure. The keeper makes no new root: see recseal-keeper(8)",
				dir);
	else if (r == -RE_CORRUPT)
		reason_set(reason, r,
				"the root file %s/root.slots is damaged. Restore it from a copy "
				"made after the last erasure. If only its note of which file it is "
				"was damaged, recseal-keeper --accept-restored=EPOCH repairs that. "
				"The keeper makes no new root: see recseal-keeper(8)",
				dir);
	else if (r < 0)
		reason_set(reason, r, "cannot open the root file in %s: %s", dir, error_text(r));
	return r;
}

/* Finds the provider's slot that holds a root: 1, or 0 when none does; *ret_slot is then the first
 * one, which is as good as any. */
static int provider_valid_slot(struct root_provider *provider, unsigned *ret_slot)
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

static int provider_join(struct root_provider *const both[static ROOT_SLOTS],
		struct root_provider **ret_pair)
{
	unsigned slot[ROOT_SLOTS];

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		/* The pair maps slot i to the slot that holds the root on this side. */
		int r = provider_valid_slot(both[i], &slot[i]);
		if (r < 0)
			return r;
	}
	struct root_provider *pair = root_pair_new(both, slot);
	if (!pair)
		return -ENOMEM;
	*ret_pair = pair;
	return 0;
}

/* A move was cut short when its new location was only half made. If the whole one holds a root, the
 * keeper goes on with it and removes the half made one. */
static int main_keep_alone(struct root *root, struct root_provider *whole,
		struct root_provider **ret_provider, struct reason *reason)
{
	const struct root_tpm2_options options = main_tpm_options(root, reason);
	unsigned slot;
	int r = provider_valid_slot(whole, &slot);

	/* Neither side holds a root: nothing is removed, for a human to look at. */
	if (r <= 0)
		return r < 0 ? r : -RE_NO_ROOT;
	r = provider_is_file(whole) ? root_tpm2_remove(root->dir_fd, &options)
				    : durable_unlink(root->dir_fd, FILE_NAME);
	if (r == 0)
		r = durable_sync(root->dir_fd);
	if (r == 0)
		*ret_provider = whole;
	return r;
}

/* Root file and TPM are both there: a move was cut short. */
static int main_open_both(struct root *root, bool adopt, struct root_provider **ret_provider,
		struct reason *reason)
{
	const struct root_tpm2_options options = main_tpm_options(root, reason);
	struct root_provider *both[ROOT_SLOTS] = {NULL, NULL};
	int file = main_open_file(root, adopt, &both[0], reason);
	int tpm = root_tpm2_open(root->dir_fd, &options, &both[1]);
	int r = file < 0 ? file : tpm;

	if (file == 0 && tpm == 0)
		r = provider_join(both, ret_provider);
	/* The TPM side was never filled: the file is the root. */
	else if (file == 0 && tpm == -RE_NO_ROOT)
		r = main_keep_alone(root, both[0], ret_provider, reason);
	else if (tpm == 0 && file == -RE_CORRUPT)
		r = main_keep_alone(root, both[1], ret_provider, reason);
	if (r < 0) {
		root_provider_free(both[0]);
		root_provider_free(both[1]);
	}
	return r;
}

int root_main_open(struct root *root, bool adopt, struct root_provider **ret_provider,
		struct reason *reason)
{
	const struct root_tpm2_options options = main_tpm_options(root, reason);
	bool file = main_exists(root, FILE_NAME), tpm = main_exists(root, ROOT_TPM2_FILE);

	/* Both at once exist only during a move. */
	if (file && tpm)
		return main_open_both(root, adopt, ret_provider, reason);
	return tpm ? root_tpm2_open(root->dir_fd, &options, ret_provider)
		   : main_open_file(root, adopt, ret_provider, reason);
}

/* Overwrites both slots of a location that does not hold the root any more, and removes it. */
static int main_remove_provider(
		struct root *root, struct root_provider *provider, struct reason *reason)
{
	const struct root_tpm2_options options = main_tpm_options(root, reason);
	uint8_t image[ROOT_IMAGE_BYTES] = {0};
	bool file = provider_is_file(provider);
	int r = 0;

	for (unsigned i = 0; i < ROOT_SLOTS && r == 0; i++)
		r = provider->ops->write(provider, i, image, reason);
	/* Overwritten first: removing a name does not destroy what the file held. */
	root_provider_free(provider);
	if (r == 0 && !file)
		r = root_tpm2_remove(root->dir_fd, &options);
	if (r == 0 && file)
		r = durable_unlink(root->dir_fd, FILE_NAME);
	return r < 0 ? r : durable_sync(root->dir_fd);
}

int root_main_settle(struct root *root, struct reason *reason)
{
	struct root_provider *kept, *other;

	if (!main_provider(root) || !root_pair_is(main_provider(root)))
		return 0;
	root_pair_part(main_provider(root), root->slot, &kept, &root->slot, &other);
	/* The kept side alone is the main copy again, also if the removal below fails. */
	root_set_exchange(root->copies, 0, kept);
	int r = main_remove_provider(root, other, reason);
	if (r < 0)
		reason_set(reason, r,
				"the root has moved, but its old location cannot be removed: %s. "
				"Start the keeper again to finish the move",
				error_text(r));
	return r;
}

int root_main_remove(struct root *root)
{
	const struct root_tpm2_options options = main_tpm_options(root, NULL);
	int r = root_tpm2_remove(root->dir_fd, &options);

	return r < 0 ? r : durable_unlink(root->dir_fd, FILE_NAME);
}

int root_main_abandon(struct root *root)
{
	static const char *const names[] = {FILE_NAME, ROOT_TPM2_FILE};
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(names) && r == 0; i++) {
		char left[64];
		snprintf(left, sizeof(left), "%s.given-up", names[i]);
		/* ENOENT: this vault never had the other kind, or a crash came after the rename. */
		if (renameat(root->dir_fd, names[i], root->dir_fd, left) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r < 0 ? r : durable_sync(root->dir_fd);
}

int root_main_check(const struct root *root, struct reason *reason)
{
	if (!main_provider(root) || provider_is_file(main_provider(root)) != main_wants_tpm(root))
		return 0;
	return reason_set(reason, -RE_REFUSED,
			"the configuration says Root=%s, but the root of this vault is kept "
			"elsewhere (assurance %s). Correct Root= in recseal.conf, or run "
			"recseal-keeper --move-root once",
			root->settings.kind, main_provider(root)->assurance);
}
