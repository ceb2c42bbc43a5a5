#include "daemon/keeper/erasure/retention.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/event.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/root_place.h"

#define TICK_MS      1000
#define GROUPS_MAX   10000
#define RETRY_TICKS  30
#define MIRROR_TICKS 600
/* The pause for others between two strides of burial. */
#define STRIDE_MS    50
#define BURIAL_FAILS "what is left of destroyed recordings cannot be cleared away"

struct retention {
	uv_timer_t timer, stride;
	unsigned open; /* of these handles */
	struct vault *vault;
	void (*stuck)(void *context);
	void *context;
	unsigned ticks;
	bool in_trouble;          /* said once per spell */
	int64_t wall_us, boot_us; /* at start */
	bool told_jump;
	int64_t expired_us; /* boot time of the last expiry that left nothing due; 0: none yet */
};

static int64_t boottime_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

int retention_run(struct vault *vault, size_t max, bool *ret_more)
{
	_cleanup_free_ struct due_group *groups = calloc(max, sizeof(*groups));
	_cleanup_free_ struct erasure_item *items = calloc(max, sizeof(*items));
	struct erasure_result result;
	size_t n = 0;
	int r = groups && items ? catalog_group_due(vault->db, clock_now_us(&vault->clock), groups,
						  max, &n)
				: -ENOMEM;

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct erasure_item){.kind = ERASE_GROUP,
				.cause = CAUSE_EXPIRY,
				.account = groups[i].account,
				.group = groups[i].group};
	if (n > 0)
		r = erasure_run(vault, items, n, 0, "retention time is over", &result);
	if (r == 0)
		*ret_more = n == max;
	return r;
}

/* A clock that jumps ahead would make everything due at once, for good. It is believed again after
 * a restart, for somebody to have looked at it. Behind what the vault has seen it must catch up
 * first. */
static bool clock_jumped(struct retention *retention)
{
	int64_t wall_us = clock_now_us(&retention->vault->clock) - retention->wall_us;
	bool jumped = wall_us - (boottime_us() - retention->boot_us) > US_PER_DAY;

	if (jumped && !retention->told_jump)
		event_log(LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the clock jumped ahead by %" PRId64
				" days: nothing expires until recseal-keeper is restarted with the "
				"clock right",
				wall_us / US_PER_DAY);
	if (jumped)
		vault_trouble(retention->vault,
				"the clock jumped ahead: nothing expires until recseal-keeper is restarted "
				"with the clock right");
	retention->told_jump = jumped;
	return jumped;
}

/* The memory of a TPM wears: there, what falls due is gathered for an hour. */
static int64_t interval_us(const struct vault *vault)
{
	if (vault->config->epoch_interval_us >= 0)
		return vault->config->epoch_interval_us;
	return root_place_is_file(vault) ? 0 : 3600 * US_PER_S;
}

/* While a place of the root is away what falls due is only noted, and what is noted already has to
 * be passed over to find it: that may be much by and by. */
static bool is_noting_time(const struct retention *retention)
{
	return !root_set_away(retention->vault->root) || retention->ticks % RETRY_TICKS == 0;
}

/* 0 when nothing is due, without allocating anything. */
static int expire(struct retention *retention)
{
	struct vault *vault = retention->vault;
	int64_t due_us;
	bool more = true;

	if (!is_noting_time(retention))
		return 0;
	if (retention->expired_us > 0 && boottime_us() - retention->expired_us < interval_us(vault))
		return 0;
	int r = catalog_group_next_due(vault->db, &due_us);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (due_us > clock_now_us(&vault->clock))
		return 0;
	r = retention_run(vault, GROUPS_MAX, &more);
	if (r == 0 && !more)
		retention->expired_us = boottime_us();
	return r;
}

static void note_outcome(struct retention *retention, int r, const char *what)
{
	if (r < 0 && !retention->in_trouble)
		event_log(LOG_ERR, EVENT_KEY_TROUBLE, NULL, "%s: %s; it is tried again", what,
				error_text(r));
	retention->in_trouble = r < 0;
}

/* One that is away is looked for more often. */
static void look_after_mirrors(struct retention *retention)
{
	unsigned every = root_set_away(retention->vault->root) ? RETRY_TICKS : MIRROR_TICKS;

	if (retention->ticks % every == 0)
		(void)mirrors_ready(retention->vault); /* which tells of it */
}

static void stride(uv_timer_t *timer);

/* One stride; the next one soon when there is more. */
static int bury(struct retention *retention)
{
	bool rows = false, objects = false;
	int r = bury_rows(retention->vault, RETENTION_STRIDE_ROWS, &rows);
	/* Also when that fails: for want of room, perhaps. */
	int removed = bury_objects(retention->vault, RETENTION_STRIDE_OBJECTS, &objects);

	if (r == 0)
		r = removed;
	if (r == 0 && (rows || objects))
		uv_timer_start(&retention->stride, stride, STRIDE_MS, 0);
	return r;
}

static void stride(uv_timer_t *timer)
{
	struct retention *retention = timer->data;

	if (!retention->vault->stuck && !retention->in_trouble)
		note_outcome(retention, bury(retention), BURIAL_FAILS);
}

static int run_once(struct retention *retention, const char **ret_what)
{
	bool retry = retention->in_trouble || retention->ticks % RETRY_TICKS == 0;
	int r = clock_jumped(retention) ? 0 : expire(retention);

	*ret_what = "erasure does not succeed, and stays pending";
	if (r == 0 && retry)
		r = erasure_retry(retention->vault);
	if (r == -RE_AWAY)
		r = 0; /* it waits for a mirror, which is told of elsewhere; the rest does not */
	if (r == 0) {
		*ret_what = BURIAL_FAILS;
		r = bury(retention);
	}
	if (r == 0 && retention->vault->witness_owed)
		epoch_witness(retention->vault);
	return r;
}

static void tick(uv_timer_t *timer)
{
	struct retention *retention = timer->data;
	const char *what;

	retention->ticks++;
	if (!retention->vault->stuck)
		look_after_mirrors(retention);
	if (!retention->vault->stuck &&
			(!retention->in_trouble || retention->ticks % RETRY_TICKS == 0)) {
		int r = run_once(retention, &what);
		note_outcome(retention, r, what);
	}
	if (retention->vault->stuck)
		retention->stuck(retention->context);
}

int retention_start(uv_loop_t *loop, struct vault *vault, void (*stuck)(void *context),
		void *context, struct retention **ret_retention)
{
	struct retention *retention = calloc(1, sizeof(*retention));

	if (!retention)
		return -ENOMEM;
	retention->vault = vault;
	retention->stuck = stuck;
	retention->context = context;
	retention->wall_us = clock_now_us(&vault->clock);
	if (retention->wall_us < vault->latest_us)
		retention->wall_us = vault->latest_us;
	retention->boot_us = boottime_us();
	uv_timer_init(loop, &retention->timer);
	uv_timer_init(loop, &retention->stride);
	retention->open = 2;
	retention->timer.data = retention->stride.data = retention;
	uv_timer_start(&retention->timer, tick, TICK_MS, TICK_MS);
	*ret_retention = retention;
	return 0;
}

static void closed(uv_handle_t *handle)
{
	struct retention *retention = handle->data;

	if (--retention->open == 0)
		free(retention);
}

struct retention *retention_stop(struct retention *retention)
{
	if (!retention)
		return NULL;
	uv_close((uv_handle_t *)&retention->timer, closed);
	uv_close((uv_handle_t *)&retention->stride, closed);
	return NULL;
}
