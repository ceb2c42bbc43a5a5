#include "daemon/intake/beside/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/common/names/name_fold.h"
#include "daemon/intake/beside/manifest.h"
#include "daemon/intake/beside/neighbours.h"

#define ACCOUNT_BYTES_MAX 1024            /* the keeper takes fewer */
#define WAIT_US           US_PER_S        /* between two looks for a sidecar */
#define PATIENCE_US       (60 * US_PER_S) /* with a sidecar that is always being written */
#define SIDECAR_NEVER     1000000         /* this recording cannot have such a sidecar */

struct bundle *bundle_free(struct bundle *bundle)
{
	if (!bundle)
		return NULL;
	for (size_t i = 0; i < bundle->n_sidecars; i++)
		sidecar_clear(&bundle->sidecar[i]);
	if (bundle->root_fd >= 0)
		close(bundle->root_fd);
	free(bundle->account);
	free(bundle);
	return NULL;
}

/* ---- Sidecars ---- */

struct gathering {
	struct spool *spool;
	const struct bundle_recording *recording;
	int64_t now_us;
	struct bundle *bundle;
	/* Too large to be sealed, but what they say of the account counts. */
	struct sidecar large[PROFILE_SIDECARS_MAX];
	size_t n_large;
};

static void gathering_clear(struct gathering *g)
{
	while (g->n_large > 0)
		sidecar_clear(&g->large[--g->n_large]);
}

/* Why a sidecar was not taken. */
static const char *sidecar_refusal(int outcome, struct reason *reason)
{
	if (outcome == SIDECAR_LARGE || outcome == SIDECAR_HUGE)
		return "is too large for a sidecar";
	if (outcome == SIDECAR_BUSY)
		return "is always being written";
	if (outcome > 0)
		return source_refusal((enum source_outcome)outcome);
	reason_set(reason, outcome, "cannot be read (%s)", error_text(outcome));
	return reason->text;
}

static int64_t later_us(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Until when the recording waits for a sidecar that cannot be taken yet. A sidecar that exists may
 * be written to for some time after it appeared, which may be long after the recording was
 * finished. */
static int64_t sidecar_deadline_us(const struct gathering *g, int outcome, int64_t since_us)
{
	int64_t finished_us = g->recording->finished_us;
	int64_t wait_us = profile_text_of(g->spool->profile)->sidecar_wait_us;
	int64_t busy_us =
			later_us(finished_us, since_us) + PATIENCE_US + g->spool->config->settle_us;

	/* Where the filesystem records no births, each write moves since_us on: not for ever. */
	if (outcome == SIDECAR_BUSY && busy_us > finished_us + US_PER_DAY)
		busy_us = finished_us + US_PER_DAY;
	switch (outcome) {
	case SIDECAR_BUSY:
		return later_us(finished_us + wait_us, busy_us);
	case SIDECAR_MISSING:
		return finished_us + wait_us;
	default:
		return g->now_us; /* waiting would not help */
	}
}

/* How long the recording waits before the next look; 0: no longer. */
static int64_t sidecar_wait_us(const struct gathering *g, int outcome, int64_t since_us)
{
	int64_t left_us = sidecar_deadline_us(g, outcome, since_us) - g->now_us;

	return left_us <= 0 ? 0 : left_us < WAIT_US ? left_us + 1 : WAIT_US;
}

static int gather_read_sidecar(const struct gathering *g, size_t i, struct sidecar *ret_sidecar,
		struct sidecar_about *ret_about)
{
	const struct profile *profile = g->spool->profile;
	int root_fd = g->spool->root_fd;
	int64_t settle_us = g->spool->config->settle_us;
	const struct bundle_recording *recording = g->recording;
	_cleanup_free_ char *path = NULL;
	bool at_markers;

	if (profile_sidecar_is_pattern(profile, i))
		return manifest_read(root_fd, profile, i, recording->path, recording->finished_us,
				g->now_us, settle_us, ret_sidecar, ret_about);
	int r = profile_locate(profile, PROFILE_SIDECARS, i, recording->path, recording->match,
			&path, &at_markers);
	/* A file outside of the spool is not ours to remove. */
	if (r == -ENOENT || (r == 0 && at_markers))
		return SIDECAR_NEVER;
	return r < 0 ? r
		     : sidecar_read(root_fd, path, g->now_us, settle_us, ret_sidecar, ret_about);
}

/* 0, or BUNDLE_WAIT. */
static int gather_sidecar(struct gathering *g, size_t i, int64_t *ret_wait_us)
{
	struct bundle *bundle = g->bundle;
	struct sidecar_about about = {0};
	struct reason reason = {0};
	struct sidecar sidecar;
	int r = gather_read_sidecar(g, i, &sidecar, &about);

	if (r == 0) {
		bundle->template[bundle->n_sidecars] = i;
		bundle->sidecar[bundle->n_sidecars++] = sidecar;
		return 0;
	}
	if (r == SIDECAR_LARGE)
		g->large[g->n_large++] = sidecar;
	*ret_wait_us = sidecar_wait_us(g, r, about.since_us);
	if (*ret_wait_us > 0)
		return BUNDLE_WAIT;
	/* The recording goes without it. */
	if (r != SIDECAR_MISSING && r != SIDECAR_NEVER)
		spool_report_refusal(
				g->spool, about.inode, (unsigned)r, sidecar_refusal(r, &reason));
	return 0;
}

/* ---- The account ---- */

static char *gathering_meta_value(void *context, const char *key, size_t len)
{
	const struct gathering *g = context;
	const struct bundle *bundle = g->bundle;
	char *value = NULL;

	for (size_t i = 0; i < bundle->n_sidecars && !value; i++)
		value = sidecar_member(&bundle->sidecar[i], key, len);
	for (size_t i = 0; i < g->n_large && !value; i++)
		value = sidecar_member(&g->large[i], key, len);
	return value;
}

/* Replaces a name by the one that Names= makes of it. */
static int fold_account(const struct spool *spool, char **account)
{
	char *folded;
	int r = name_fold(spool->config->names, *account, &folded);

	if (r < 0)
		return r;
	free(*account);
	*account = folded;
	return 0;
}

/* The map's key may be the name as it is, or as Names= makes it. */
static int find_mapped_account(struct spool *spool, int64_t now_us, char **key, char **ret_account)
{
	const char *path = spool->config->account_map;
	int r = account_map_find(&spool->map, path, *key, now_us, ret_account);

	if (r != ACCOUNT_MAP_UNKNOWN || spool->config->names == NAME_EXACT)
		return r;
	r = fold_account(spool, key);
	return r < 0 ? r : account_map_find(&spool->map, path, *key, now_us, ret_account);
}

/* Replaces the name by its account in AccountMap=, or by none when the map does not know it. */
static int gather_mapped_account(struct spool *spool, int64_t now_us, char **account)
{
	const char *path = spool->config->account_map;
	_cleanup_free_ char *key = TAKE_PTR(*account);
	int r = find_mapped_account(spool, now_us, &key, account);

	if (r == 0 || r == ACCOUNT_MAP_UNKNOWN) {
		outage_over(&spool->mapping);
		return 0;
	}
	/* With half a map the recording would go without its account. */
	if (r == ACCOUNT_MAP_FRESH)
		return BUNDLE_WAIT;
	if (outage_failed(&spool->mapping, monotonic_us()) > 0)
		spool_notify(spool, LOG_ERR, EVENT_SPOOL_TROUBLE,
				"spool %s: %s cannot be read: %s; its recordings wait",
				spool->config->name, path, error_text(r));
	return r == -ENOMEM ? r : BUNDLE_NO_MAP;
}

/* A sidecar may say anything, but a message is bounded (intake_wire.h). */
static void bundle_drop_long_account(struct bundle *bundle)
{
	if (bundle->account && strlen(bundle->account) > ACCOUNT_BYTES_MAX) {
		free(bundle->account);
		bundle->account = NULL;
	}
}

static int gather_account(struct gathering *g, int64_t *ret_wait_us)
{
	struct bundle *bundle = g->bundle;
	int r = profile_account(g->spool->profile, g->recording->path, g->recording->match,
			gathering_meta_value, g, &bundle->account);

	*ret_wait_us = WAIT_US; /* for a map that is being written */
	/* No account: the keeper quarantines the recording. */
	if (r == -ENOENT)
		return 0;
	if (r == 0 && g->spool->config->account_map)
		r = gather_mapped_account(g->spool, g->now_us, &bundle->account);
	bundle_drop_long_account(bundle);
	return r == 0 && bundle->account ? fold_account(g->spool, &bundle->account) : r;
}

/* The spool may be closed, or be another directory, when the sidecars are to be removed. */
static int bundle_keep_root(struct bundle *bundle, int root_fd)
{
	bundle->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	return bundle->root_fd < 0 ? -errno : 0;
}

int bundle_gather(struct spool *spool, const struct bundle_recording *recording, int64_t now_us,
		struct bundle **ret_bundle, int64_t *ret_wait_us)
{
	struct bundle *bundle = calloc(1, sizeof(*bundle));
	_cleanup_(gathering_clear) struct gathering g = {
			.spool = spool, .recording = recording, .now_us = now_us, .bundle = bundle};
	int r = bundle ? 0 : -ENOMEM;

	if (bundle) {
		bundle->discarded = recording->discarded;
		bundle->wipe = spool->config->wipe;
		bundle->root_fd = -1;
	}
	for (size_t i = 0; i < profile_count(spool->profile, PROFILE_SIDECARS) && r == 0; i++)
		r = gather_sidecar(&g, i, ret_wait_us);
	/* After the sidecars: they may say whose it is. */
	if (r == 0)
		r = gather_account(&g, ret_wait_us);
	if (r == 0 && bundle->n_sidecars > 0)
		r = bundle_keep_root(bundle, spool->root_fd);
	if (r != 0) {
		bundle_free(bundle);
		return r;
	}
	*ret_bundle = bundle;
	return 0;
}

int bundle_account(struct spool *spool, const struct bundle_recording *recording, int64_t now_us,
		char **ret_account)
{
	struct bundle *bundle = NULL, bare = {.root_fd = -1};
	struct gathering g = {
			.spool = spool, .recording = recording, .now_us = now_us, .bundle = &bare};
	int64_t wait_us;
	int r = bundle_gather(spool, recording, now_us, &bundle, &wait_us);

	/* In progress: its name may say already what a sidecar will say at its end. */
	if (r == BUNDLE_WAIT)
		r = gather_account(&g, &wait_us);
	char *account = bundle ? TAKE_PTR(bundle->account) : bare.account;
	bundle_free(bundle);
	if (r == 0 && account) {
		*ret_account = account;
		return 0;
	}
	free(account);
	return r < 0 ? r : -ENOENT;
}

/* ---- The end ---- */

void bundle_remove_sidecars(struct bundle *bundle, int parent_fd, const struct profile *profile,
		const char *path)
{
	for (size_t i = 0; i < bundle->n_sidecars; i++) {
		const struct neighbours n = {
				.profile = profile,
				.path = path,
				.sidecar = &bundle->sidecar[i],
				.template = bundle->template[i],
				.parent_fd = parent_fd,
				.root_fd = bundle->root_fd,
		};
		/* One that cannot be removed is found, and reported, by a later scan. */
		if (!neighbours_need(&n))
			(void)sidecar_remove(bundle->root_fd, &bundle->sidecar[i], bundle->wipe);
	}
}
