#include "daemon/keeper/erasure/retention.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/erasure_room.h"
#include "daemon/keeper/erasure/reminder.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/objects_place.h"
#include "daemon/keeper/root/root_main.h"

#define TICK_MS      1000
#define GROUPS_MAX   1000 /* of an epoch: a tenth of a second, in which nothing is sealed */
#define RETRY_TICKS  30
#define MIRROR_TICKS 600
#define AWAY_TICKS   10
/* The pause for others between two strides of burial. */
#define STRIDE_MS    50
#define BURIAL_FAILS "what is left of destroyed recordings cannot be cleared away"

struct retention {
	struct retention_setup setup;
	uv_timer_t timer, stride;
	unsigned open; /* of these handles, and one while a removal is under way */
	struct removal {
		uv_work_t work;
		struct bury_objects batch;
		bool running;
		int result;
	} removal;
	unsigned ticks;
	bool failing;       /* said once per spell */
	bool back;          /* what was away: what waited for it is done now */
	int64_t expired_us; /* boot time of the last expiry that left nothing due; 0: none yet */
};

static struct root *retention_root(const struct retention *retention)
{
	return retention->setup.eraser->root;
}

static int64_t retention_boot_us(const struct retention *retention)
{
	return clock_now_us(&retention->setup.clock->machine.boot);
}

int retention_run(struct eraser *eraser, size_t max, bool *ret_more, struct reason *reason)
{
	const struct root *root = eraser->root;
	size_t room = erasure_room_items(root);
	max = max < room ? max : room;
	_cleanup_free_ struct due_group *groups = calloc(max, sizeof(*groups));
	_cleanup_free_ struct erasure_item *items = calloc(max, sizeof(*items));
	struct erasure_result result;
	size_t n = 0;
	int r = groups && items ? catalog_group_due(root->db, clock_now_us(&root->counted), groups,
						  max, &n)
				: -ENOMEM;

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct erasure_item){.kind = ERASE_GROUP,
				.cause = CAUSE_EXPIRY,
				.account = groups[i].account,
				.group = groups[i].group,
				.reason = "retention time is over"};
	/* One epoch for all of them: the root is written once. */
	if (n > 0)
		r = erasure_run(eraser, items, n, &result, reason);
	if (r == 0)
		*ret_more = n == max;
	return r;
}

/* The memory of a TPM wears: there, what falls due is gathered for an hour. */
static int64_t retention_interval_us(const struct retention *retention)
{
	if (retention->setup.epoch_interval_us >= 0)
		return retention->setup.epoch_interval_us;
	return root_main_is_file(retention_root(retention)) ? 0 : 3600 * US_PER_S;
}

/* While a copy of the root is away, groups that fall due are only noted. Finding the next one means
 * passing over all that are noted already, so it is done less often. */
static bool retention_may_note(const struct retention *retention)
{
	return !root_set_away(retention_root(retention)->copies) ||
	       retention->ticks % RETRY_TICKS == 0;
}

/* 0 when nothing is due, without allocating anything. */
static int retention_expire(struct retention *retention, struct reason *reason)
{
	const struct root *root = retention_root(retention);
	int64_t due_us;
	bool more = true;

	if (!retention_may_note(retention))
		return 0;
	/* Only expiry waits for the interval; a shred is carried out at once. */
	if (retention->expired_us > 0 && retention_boot_us(retention) - retention->expired_us <
							 retention_interval_us(retention))
		return 0;
	int r = catalog_group_next_due(root->db, &due_us);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (due_us > clock_now_us(&root->counted))
		return 0;
	r = retention_run(retention->setup.eraser, GROUPS_MAX, &more, reason);
	/* While there is more, the interval does not begin. */
	if (r == 0 && !more)
		retention->expired_us = retention_boot_us(retention);
	return r;
}

/* Says once per spell that something fails, and keeps it for status. */
static void retention_note(
		struct retention *retention, int r, const struct reason *reason, const char *what)
{
	struct notices *notices = retention_root(retention)->notices;

	if (r < 0 && !retention->failing) {
		notices_tell(notices, LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"%s: %s; the keeper tries again", what, reason_text(reason, r));
		notices_keep_problem(notices, "%s: %s", what, reason_text(reason, r));
	}
	retention->failing = r < 0;
}

/* A copy of the root that is away is looked for more often. */
static void retention_look_after_mirrors(struct retention *retention)
{
	struct root *root = retention_root(retention);
	bool away = root_set_away(root->copies);
	unsigned every = away ? AWAY_TICKS
			 : root_main_is_file(root) || *root->copies->member[0].why_away.text
					 ? RETRY_TICKS
					 : MIRROR_TICKS;
	struct reason reason = {""};

	if (retention->ticks % every != 0)
		return;
	int r = mirrors_watch(root, &reason);
	retention->back = away && r == 0;
	if (r < 0)
		notices_keep_problem(root->notices, "%s", reason_text(&reason, r));
}

static void retention_on_stride(uv_timer_t *timer);

static void retention_leave(struct retention *retention)
{
	if (--retention->open == 0)
		free(retention);
}

static void removal_in_thread(uv_work_t *work)
{
	struct retention *retention = work->data;
	struct removal *removal = &retention->removal;

	removal->result = bury_objects_remove(retention_root(retention)->store, &removal->batch);
}

static void removal_ended(uv_work_t *work, int status)
{
	struct retention *retention = work->data;
	struct removal *removal = &retention->removal;
	struct root *root = retention_root(retention);
	bool stopping = uv_is_closing((uv_handle_t *)&retention->timer), more = removal->batch.more;
	int r = status < 0 ? status : removal->result;

	removal->running = false;
	/* In another folder they would only seem to be removed. */
	if (r == 0 && !root_is_stuck(root) && objects_place_check(root, NULL) == 0)
		r = bury_objects_done(root->db, &removal->batch);
	bury_objects_free(&removal->batch);
	if (!stopping && r < 0)
		retention_note(retention, r, NULL, BURIAL_FAILS);
	if (!stopping && r == 0 && more)
		uv_timer_start(&retention->stride, retention_on_stride, STRIDE_MS, 0);
	retention_leave(retention);
}

/* The store may be slow: it removes in a thread, one batch at a time. */
static int removal_begin(struct retention *retention, struct reason *reason)
{
	struct removal *removal = &retention->removal;

	if (removal->running || objects_place_check(retention_root(retention), NULL) < 0)
		return 0;
	int r = bury_objects_take(retention_root(retention)->db, RETENTION_STRIDE_OBJECTS,
			&removal->batch, reason);
	if (r < 0 || removal->batch.n == 0) {
		bury_objects_free(&removal->batch);
		return r;
	}
	removal->work.data = retention;
	r = uv_queue_work(retention->timer.loop, &removal->work, removal_in_thread, removal_ended);
	if (r < 0) {
		bury_objects_free(&removal->batch);
		return r;
	}
	removal->running = true;
	retention->open++;
	return 0;
}

/* One stride; the next one soon when there is more. */
static int retention_bury(struct retention *retention, struct reason *reason)
{
	bool rows = false;
	int r = bury_rows(retention_root(retention)->db, RETENTION_STRIDE_ROWS, &rows, reason);
	/* Also when that fails: for want of room, perhaps. */
	int removed = removal_begin(retention, reason);

	if (r == 0)
		r = removed;
	if (r == 0 && rows)
		uv_timer_start(&retention->stride, retention_on_stride, STRIDE_MS, 0);
	return r;
}

static void retention_on_stride(uv_timer_t *timer)
{
	struct retention *retention = timer->data;
	struct reason reason = {""};

	/* The tick goes on with it when it is well again. */
	if (root_is_stuck(retention_root(retention)) || retention->failing)
		return;
	int r = retention_bury(retention, &reason);
	retention_note(retention, r, &reason, BURIAL_FAILS);
}

static int retention_turn(struct retention *retention, const char **ret_what, struct reason *reason)
{
	/* An erasure that fails is not tried every second: each attempt writes to the root's
	 * medium. */
	bool retry = retention->failing || retention->back || retention->ticks % RETRY_TICKS == 0;
	struct root *root = retention_root(retention);
	int r = vault_clock_look(retention->setup.clock, root->db, root->notices);

	retention->back = false;
	*ret_what = "the time that the vault has counted cannot be kept";
	if (r == 0) {
		*ret_what = "an erasure does not succeed and stays pending";
		r = retention_expire(retention, reason);
	}
	if (r == 0 && retry)
		r = erasure_retry(retention->setup.eraser, reason);
	if (r == -RE_AWAY)
		r = 0; /* it waits for a mirror, which the mirrors tell about; the rest does not */
	if (r == 0) {
		*ret_what = BURIAL_FAILS;
		/* Cleaning up can wait: a failing erasure is reported first. */
		r = retention_bury(retention, reason);
	}
	if (r == 0 && retention_root(retention)->witness_owed)
		epoch_witness(retention_root(retention));
	if (r == 0 && retention_root(retention)->reminders_owed)
		(void)reminder_keep_all(retention_root(retention));
	return r;
}

static void retention_on_tick(uv_timer_t *timer)
{
	struct retention *retention = timer->data;
	const struct root *root = retention_root(retention);
	struct reason reason = {""};
	const char *what;

	retention->ticks++;
	if (!root_is_stuck(root)) {
		(void)objects_place_check(retention_root(retention), NULL); /* which tells */
		retention_look_after_mirrors(retention);
	}
	if (!root_is_stuck(root) && retention->setup.watch)
		(void)catalog_watch_turn(retention->setup.watch, root->db, root->notices);
	if (!root_is_stuck(root) && (!retention->failing || retention->ticks % RETRY_TICKS == 0)) {
		int r = retention_turn(retention, &what, &reason);
		retention_note(retention, r, &reason, what);
	}
	/* Checked at the end: the work above may have found it out. */
	if (root_is_stuck(root))
		retention->setup.stuck(retention->setup.context);
}

int retention_start(uv_loop_t *loop, const struct retention_setup *setup,
		struct retention **ret_retention)
{
	struct retention *retention = calloc(1, sizeof(*retention));

	if (!retention)
		return -ENOMEM;
	retention->setup = *setup;
	uv_timer_init(loop, &retention->timer);
	uv_timer_init(loop, &retention->stride);
	retention->open = 2;
	retention->timer.data = retention->stride.data = retention;
	uv_timer_start(&retention->timer, retention_on_tick, TICK_MS, TICK_MS);
	*ret_retention = retention;
	return 0;
}

void retention_set_epoch_interval(struct retention *retention, int64_t epoch_interval_us)
{
	retention->setup.epoch_interval_us = epoch_interval_us;
}

static void retention_on_close(uv_handle_t *handle)
{
	retention_leave(handle->data);
}

struct retention *retention_stop(struct retention *retention)
{
	if (!retention)
		return NULL;
	/* The struct is freed when the loop has closed both timers. */
	uv_close((uv_handle_t *)&retention->timer, retention_on_close);
	uv_close((uv_handle_t *)&retention->stride, retention_on_close);
	return NULL;
}
