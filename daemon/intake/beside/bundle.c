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
#include "daemon/common/event.h"
#include "daemon/intake/beside/manifest.h"
#include "daemon/intake/beside/neighbours.h"

#define ACCOUNT_BYTES_MAX 1024            /* the keeper takes fewer */
#define WAIT_US           US_PER_S        /* between two looks for a sidecar */
#define SIDECAR_NEVER     1000000         /* a place that cannot be for this recording */
#define PATIENCE_US       (60 * US_PER_S) /* with one that is always being written */

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
	const char *path;
	const struct pattern_match *match;
	int64_t finished_us, now_us;
	struct bundle *bundle;
};

static const char *why_not(int outcome, char *text, size_t room)
{
	if (outcome == SIDECAR_LARGE)
		return "is too large for a sidecar";
	if (outcome == SIDECAR_BUSY)
		return "is always being written";
	if (outcome < 0)
		snprintf(text, room, "cannot be read (%s)", error_text(outcome));
	else
		snprintf(text, room, "%s", source_refusal((enum source_outcome)outcome));
	return text;
}

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Until when the recording waits for a sidecar that cannot be taken yet. One that is there is being
 * written for some time after it appeared, which may be long after the recording was finished. */
static int64_t deadline_us(const struct gathering *g, int outcome, int64_t since_us)
{
	int64_t wait_us = profile_text_of(g->spool->profile)->sidecar_wait_us;
	int64_t busy_us = later_of(g->finished_us, since_us) + PATIENCE_US +
			  g->spool->config->settle_us;

	if (outcome == SIDECAR_BUSY && busy_us > g->finished_us + US_PER_DAY)
		busy_us = g->finished_us + US_PER_DAY; /* where births are not kept */
	switch (outcome) {
	case SIDECAR_BUSY:
		return later_of(g->finished_us + wait_us, busy_us);
	case SIDECAR_MISSING:
		return g->finished_us + wait_us;
	default:
		return g->now_us;
	}
}

/* How long it waits before the next look; 0: no longer. */
static int64_t wait_for(const struct gathering *g, int outcome, int64_t since_us)
{
	int64_t left_us = deadline_us(g, outcome, since_us) - g->now_us;

	return left_us <= 0 ? 0 : left_us < WAIT_US ? left_us + 1 : WAIT_US;
}

static int read_sidecar(const struct gathering *g, size_t i, struct sidecar *ret_sidecar,
		struct sidecar_about *ret_about)
{
	const struct profile *profile = g->spool->profile;
	int root_fd = g->spool->root_fd;
	int64_t settle_us = g->spool->config->settle_us;
	_cleanup_free_ char *place = NULL;
	bool at_markers;

	if (profile_sidecar_is_pattern(profile, i))
		return manifest_read(root_fd, profile, i, g->path, g->finished_us, g->now_us,
				settle_us, ret_sidecar, ret_about);
	int r = profile_locate(
			profile, PROFILE_SIDECARS, i, g->path, g->match, &place, &at_markers);
	if (r == -ENOENT || (r == 0 && at_markers)) /* not in the spool: not ours to remove */
		return SIDECAR_NEVER;
	return r < 0 ? r
		     : sidecar_read(root_fd, place, g->now_us, settle_us, ret_sidecar, ret_about);
}

/* 0, or BUNDLE_WAIT. */
static int gather_sidecar(struct gathering *g, size_t i, int64_t *ret_wait_us)
{
	struct bundle *bundle = g->bundle;
	struct sidecar_about about = {0};
	char text[96];
	int r = read_sidecar(g, i, &bundle->sidecar[bundle->n_sidecars], &about);

	if (r == 0) {
		bundle->place[bundle->n_sidecars++] = i;
		return 0;
	}
	*ret_wait_us = wait_for(g, r, about.since_us);
	if (*ret_wait_us > 0)
		return BUNDLE_WAIT;
	if (r != SIDECAR_MISSING && r != SIDECAR_NEVER)
		spool_tell(g->spool, about.inode, (unsigned)r, why_not(r, text, sizeof(text)));
	return 0;
}

/* ---- The account ---- */

static char *meta_value(void *context, const char *key, size_t len)
{
	const struct bundle *bundle = context;

	for (size_t i = 0; i < bundle->n_sidecars; i++) {
		char *value = sidecar_member(&bundle->sidecar[i], key, len);
		if (value)
			return value;
	}
	return NULL;
}

/* Through AccountMap=, which also says which accounts there are. */
static int map_account(struct spool *spool, int64_t now_us, char **account)
{
	const struct event_fields fields = {.spool = spool->config->name};
	const char *path = spool->config->account_map;
	_cleanup_free_ char *key = TAKE_PTR(*account);
	int r = account_map_find(&spool->map, path, key, now_us, account);

	if (r == 0 || r == ACCOUNT_MAP_UNKNOWN) {
		trouble_over(&spool->mapping);
		return 0;
	}
	if (r == ACCOUNT_MAP_FRESH)
		return BUNDLE_WAIT;
	if (trouble_hit(&spool->mapping, monotonic_us()) > 0)
		event_log(LOG_ERR, EVENT_SPOOL_TROUBLE, &fields,
				"spool %s: %s cannot be read: %s; its recordings wait",
				spool->config->name, path, error_text(r));
	return r == -ENOMEM ? r : BUNDLE_NO_MAP;
}

/* A sidecar may say anything, but a message has an end (intake_wire.h). */
static void drop_long_account(struct bundle *bundle)
{
	if (bundle->account && strlen(bundle->account) > ACCOUNT_BYTES_MAX) {
		free(bundle->account);
		bundle->account = NULL;
	}
}

static int gather_account(struct gathering *g, int64_t *ret_wait_us)
{
	struct bundle *bundle = g->bundle;
	int r = profile_account(
			g->spool->profile, g->path, g->match, meta_value, bundle, &bundle->account);

	*ret_wait_us = WAIT_US; /* for a map that is being written */
	if (r == -ENOENT)
		return 0;
	if (r == 0 && g->spool->config->account_map)
		r = map_account(g->spool, g->now_us, &bundle->account);
	drop_long_account(bundle);
	return r;
}

/* The spool may be closed, or be another, when the sidecars are to go. */
static int keep_root(struct bundle *bundle, int root_fd)
{
	bundle->root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	return bundle->root_fd < 0 ? -errno : 0;
}

int bundle_gather(struct spool *spool, const char *path, const struct pattern_match *match,
		bool discarded, int64_t finished_us, int64_t now_us, struct bundle **ret_bundle,
		int64_t *ret_wait_us)
{
	struct bundle *bundle = calloc(1, sizeof(*bundle));
	struct gathering g = {spool, path, match, finished_us, now_us, bundle};
	int r = bundle ? 0 : -ENOMEM;

	if (bundle) {
		bundle->discarded = discarded;
		bundle->root_fd = -1;
	}
	for (size_t i = 0; i < profile_count(spool->profile, PROFILE_SIDECARS) && r == 0; i++)
		r = gather_sidecar(&g, i, ret_wait_us);
	if (r == 0)
		r = gather_account(&g, ret_wait_us);
	if (r == 0 && bundle->n_sidecars > 0)
		r = keep_root(bundle, spool->root_fd);
	if (r != 0) {
		bundle_free(bundle);
		return r;
	}
	*ret_bundle = bundle;
	return 0;
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
				.place = bundle->place[i],
				.parent_fd = parent_fd,
				.root_fd = bundle->root_fd,
		};
		if (!neighbours_need(&n))
			(void)sidecar_remove(bundle->root_fd, &bundle->sidecar[i]);
	}
}
