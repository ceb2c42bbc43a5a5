#include "storage/tpm2/root_tpm2.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "storage/tpm2/root_tpm2_locator.h"
#include "storage/tpm2/root_tpm2_nv.h"

#define PICKS 64 /* tries for a free handle, of four million */

struct root_tpm2 {
	struct root_provider provider;
	struct root_tpm2_locator *locator; /* secret */
	int locator_fd;
	struct root_tpm2_nv *nv; /* NULL while there is no connection */
	uint32_t timeout_ms;
	uint64_t writes;
};

static struct root_tpm2 *tpm2_of(struct root_provider *provider)
{
	return (struct root_tpm2 *)provider;
}

uint64_t root_tpm2_writes(const struct root_provider *provider)
{
	return ((const struct root_tpm2 *)provider)->writes;
}

/* The connection. */

/* Keeps no connection that is of no more use. */
static int drop_if_lost(struct root_tpm2 *tpm, int r)
{
	if (r < 0 && tpm->nv && root_tpm2_nv_lost(tpm->nv))
		tpm->nv = root_tpm2_nv_close(tpm->nv);
	return r;
}

/* Connects and starts the session. */
static int connect_tpm(struct root_tpm2 *tpm, uint32_t timeout_ms, bool pin, struct reason *reason)
{
	tpm->nv = root_tpm2_nv_close(tpm->nv);
	int r = root_tpm2_nv_open(tpm->locator->tcti, timeout_ms, reason, &tpm->nv);

	if (r < 0)
		return r;
	r = root_tpm2_nv_start(tpm->nv, tpm->locator, pin);
	if (r < 0)
		tpm->nv = root_tpm2_nv_close(tpm->nv);
	return r;
}

static int connect_slots(struct root_tpm2 *tpm, uint32_t timeout_ms, struct reason *reason)
{
	int r = connect_tpm(tpm, timeout_ms, false, reason);

	for (unsigned i = 0; i < ROOT_SLOTS && r == 0; i++)
		r = root_tpm2_nv_attach(tpm->nv, tpm->locator, i);
	if (r < 0)
		tpm->nv = root_tpm2_nv_close(tpm->nv);
	return r;
}

/* Operations. */

typedef int operation(struct root_tpm2 *tpm, unsigned slot, void *image);

static int do_read(struct root_tpm2 *tpm, unsigned slot, void *image)
{
	int r = root_tpm2_nv_read(tpm->nv, slot, image);

	if (r > 0)
		memset(image, 0, ROOT_IMAGE_BYTES); /* defined, and then there was a crash */
	return r < 0 ? r : 0;
}

static int do_write(struct root_tpm2 *tpm, unsigned slot, void *image)
{
	return root_tpm2_nv_write(tpm->nv, slot, image, &tpm->writes);
}

/* With the connection there is, or else a new one: a TPM that was restarted has forgotten the
 * session. Images are whole, so doing it twice is doing it once. */
static int run_operation(struct root_tpm2 *tpm, operation *op, unsigned slot, void *image,
		struct reason *reason)
{
	int64_t until_ms = root_tpm2_nv_now_ms() + tpm->timeout_ms;
	int r = -ENODEV;

	if (tpm->nv) {
		root_tpm2_nv_begin(tpm->nv, tpm->timeout_ms, reason);
		r = drop_if_lost(tpm, op(tpm, slot, image));
	}
	/* The operation's time is spent after a timeout: the next one connects. */
	if (!tpm->nv && r != -ETIMEDOUT) {
		int64_t left_ms = until_ms - root_tpm2_nv_now_ms();
		reason_clear(reason);
		r = connect_slots(tpm, left_ms > 0 ? (uint32_t)left_ms : 0, reason);
		if (r == 0)
			r = drop_if_lost(tpm, op(tpm, slot, image));
	}
	if (tpm->nv)
		root_tpm2_nv_end(tpm->nv);
	return r;
}

static int tpm2_read(struct root_provider *provider, unsigned slot, struct reason *reason,
		uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	return run_operation(tpm2_of(provider), do_read, slot, ret_image, reason);
}

static int tpm2_write(struct root_provider *provider, unsigned slot,
		const uint8_t image[static ROOT_IMAGE_BYTES], struct reason *reason)
{
	struct root_tpm2 *tpm = tpm2_of(provider);
	_cleanup_secret_ uint8_t *copy = secret_new(ROOT_IMAGE_BYTES);

	if (!copy)
		return -RE_MLOCK;
	memcpy(copy, image, ROOT_IMAGE_BYTES);
	int r = run_operation(tpm, do_write, slot, copy, reason);
	/* The count is for looking at: not worth failing for. */
	(void)root_tpm2_locator_count(tpm->locator_fd, tpm->writes);
	return r;
}

static void tpm2_free(struct root_provider *provider)
{
	struct root_tpm2 *tpm = tpm2_of(provider);

	if (tpm->nv)
		root_tpm2_nv_begin(tpm->nv, tpm->timeout_ms, NULL);
	root_tpm2_nv_close(tpm->nv);
	secret_free(tpm->locator);
	if (tpm->locator_fd >= 0)
		close(tpm->locator_fd);
	free(tpm);
}

static const struct root_provider_ops tpm2_ops = {
		.read = tpm2_read,
		.write = tpm2_write,
		.free = tpm2_free,
};

/* Creating, opening, removing. */

static int allocate_tpm2(const struct root_tpm2_options *options, struct root_tpm2 **ret_tpm)
{
	struct root_tpm2 *tpm = calloc(1, sizeof(*tpm));

	if (!tpm)
		return -ENOMEM;
	tpm->provider = (struct root_provider){.ops = &tpm2_ops, .assurance = "virtual-tpm"};
	tpm->locator_fd = -1;
	tpm->timeout_ms = options->timeout_ms ? options->timeout_ms : ROOT_TPM2_TIMEOUT_MS;
	tpm->locator = secret_new(sizeof(*tpm->locator));
	if (!tpm->locator) {
		free(tpm);
		return -RE_MLOCK;
	}
	*ret_tpm = tpm;
	return 0;
}

static int set_tcti(struct root_tpm2 *tpm, const struct root_tpm2_options *options)
{
	struct root_tpm2_locator *locator = tpm->locator;
	const char *tcti = options->tcti;
	const char *prefix = tcti && tcti[0] == '/' ? "device:" : "";

	if (!tcti || !tcti[0])
		tcti = locator->tcti[0] ? NULL : ROOT_TPM2_TCTI;
	if (!tcti)
		return 0;
	if (strlen(prefix) + strlen(tcti) >= sizeof(locator->tcti))
		return reason_set(
				options->reason, -EINVAL, "the name of the TPM device is too long");
	snprintf(locator->tcti, sizeof(locator->tcti), "%s%s", prefix, tcti);
	return 0;
}

/* Gives the provider to the caller, or frees it. */
static int hand_out(struct root_tpm2 *tpm, int r, struct root_provider **ret_provider)
{
	if (r < 0) {
		tpm2_free(&tpm->provider);
		return r;
	}
	root_tpm2_nv_end(tpm->nv);
	tpm->provider.assurance = root_tpm2_kind(root_tpm2_nv_identity(tpm->nv));
	*ret_provider = &tpm->provider;
	return 0;
}

static int pick_handles(struct root_tpm2 *tpm, struct reason *reason)
{
	uint32_t *index = tpm->locator->index;

	for (unsigned slot = 0, picks = 0; slot < ROOT_SLOTS; picks++) {
		uint32_t handle = ROOT_TPM2_NV_FIRST + randombytes_uniform(ROOT_TPM2_NV_COUNT);
		if (picks == PICKS)
			return reason_set(reason, -ENOSPC, "no handle for an NV index is free");
		int r = root_tpm2_nv_is_free(tpm->nv, handle);
		if (r < 0)
			return r;
		if (r == 0 || (slot > 0 && index[0] == handle))
			continue;
		index[slot++] = handle;
	}
	return 0;
}

static int define_slots(struct root_tpm2 *tpm, const struct root_tpm2_options *options)
{
	_cleanup_secret_ uint8_t *zeros = secret_new(ROOT_IMAGE_BYTES);
	int r = zeros ? 0 : -RE_MLOCK;

	for (unsigned i = 0; i < ROOT_SLOTS && r == 0; i++) {
		root_tpm2_nv_begin(tpm->nv, tpm->timeout_ms, options->reason);
		r = root_tpm2_nv_define(tpm->nv, tpm->locator, i, options->owner_auth);
		if (r == 0)
			r = root_tpm2_nv_write(tpm->nv, i, zeros, &tpm->writes);
	}
	if (r == 0)
		r = root_tpm2_locator_count(tpm->locator_fd, tpm->writes);
	return r;
}

/* root.tpm2 before the indices: a crash must not leave any that nobody knows of. */
static int make_slots(struct root_tpm2 *tpm, int dir_fd, const struct root_tpm2_options *options)
{
	int r = pick_handles(tpm, options->reason);

	randombytes_buf(tpm->locator->auth, sizeof(tpm->locator->auth));
	if (r == 0)
		r = root_tpm2_locator_create(dir_fd, tpm->locator);
	if (r < 0)
		return r;
	/* Read back what a restart would find. */
	r = root_tpm2_locator_read(dir_fd, tpm->locator, &tpm->locator_fd, &tpm->writes);
	if (r == 0)
		r = define_slots(tpm, options);
	if (r < 0) {
		struct root_tpm2_options quiet = *options;
		quiet.reason = NULL;
		tpm->nv = root_tpm2_nv_close(tpm->nv);
		(void)root_tpm2_remove(dir_fd, &quiet);
	}
	return r;
}

int root_tpm2_create(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider)
{
	struct root_tpm2 *tpm;
	struct stat st;

	if (fstatat(dir_fd, ROOT_TPM2_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return reason_set(options->reason, -EEXIST,
				ROOT_TPM2_FILE " exists: this vault's root is in a TPM already");
	int r = allocate_tpm2(options, &tpm);
	if (r < 0)
		return r;
	r = set_tcti(tpm, options);
	if (r == 0)
		r = connect_tpm(tpm, tpm->timeout_ms, true, options->reason);
	if (r == 0)
		r = make_slots(tpm, dir_fd, options);
	return hand_out(tpm, r, ret_provider);
}

static int read_root_file(struct root_tpm2 *tpm, int dir_fd, struct reason *reason)
{
	int r = root_tpm2_locator_read(dir_fd, tpm->locator, &tpm->locator_fd, &tpm->writes);

	if (r == -RE_CORRUPT)
		return reason_set(reason, r,
				ROOT_TPM2_FILE " is damaged: restore it from any backup; it stays "
					       "the same as long as the vault does");
	if (r == -ENOENT)
		return reason_set(reason, r,
				"there is no " ROOT_TPM2_FILE ": restore it from any backup; it "
				"stays the same as long as the vault does");
	return r;
}

int root_tpm2_open(int dir_fd, const struct root_tpm2_options *options,
		struct root_provider **ret_provider)
{
	struct root_tpm2 *tpm;
	int r = allocate_tpm2(options, &tpm);

	if (r < 0)
		return r;
	r = read_root_file(tpm, dir_fd, options->reason);
	if (r == 0)
		r = set_tcti(tpm, options);
	if (r == 0)
		r = connect_slots(tpm, tpm->timeout_ms, options->reason);
	return hand_out(tpm, r, ret_provider);
}

/* 1 when the index is there and ours, which its authorisation value tells from one that somebody
 * else defined at this handle; 0 when there is none. */
static int check_ours(struct root_tpm2 *tpm, unsigned slot, struct reason *reason)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	root_tpm2_nv_begin(tpm->nv, tpm->timeout_ms, reason);
	int r = image ? root_tpm2_nv_is_free(tpm->nv, tpm->locator->index[slot]) : -RE_MLOCK;
	if (r != 0)
		return r < 0 ? r : 0;
	r = root_tpm2_nv_attach(tpm->nv, tpm->locator, slot);
	if (r == 0)
		r = root_tpm2_nv_read(tpm->nv, slot, image);
	return r < 0 ? r : 1;
}

/* All or none. */
static int remove_slots(struct root_tpm2 *tpm, const struct root_tpm2_options *options)
{
	int r[ROOT_SLOTS];

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		r[i] = check_ours(tpm, i, options->reason);
		if (r[i] < 0)
			return r[i];
	}
	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		if (r[i] > 0)
			r[i] = root_tpm2_nv_undefine(tpm->nv, i, options->owner_auth);
		if (r[i] < 0)
			return r[i];
	}
	return 0;
}

int root_tpm2_remove(int dir_fd, const struct root_tpm2_options *options)
{
	struct root_tpm2 *tpm;
	int r = allocate_tpm2(options, &tpm);

	if (r < 0)
		return r;
	r = read_root_file(tpm, dir_fd, options->reason);
	if (r == -ENOENT) {
		reason_clear(options->reason);
		tpm2_free(&tpm->provider);
		return 0;
	}
	if (r == 0)
		r = set_tcti(tpm, options);
	if (r == 0)
		r = connect_tpm(tpm, tpm->timeout_ms, false, options->reason);
	if (r == 0)
		r = remove_slots(tpm, options);
	if (r == 0)
		r = root_tpm2_locator_remove(dir_fd);
	tpm2_free(&tpm->provider);
	return r;
}
