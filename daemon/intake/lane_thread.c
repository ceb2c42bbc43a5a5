/* What runs in the thread of a spool: a turn of its loop does a little of everything. */
#include "daemon/intake/lane.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/intake/spool/report.h"

#define TURN_US               (20 * INT64_C(1000)) /* then the loop again, and its mail */
#define QUEUE                 16384 /* candidates remembered, of all spools together */
#define QUEUE_SHARE           1024  /* of a spool, at least */
#define REMEMBERED            4096  /* refusals reported, files parked; of all spools */
#define REMEMBERED_SHARE      512
#define HOUSEKEEPING_MS       2000
#define SEARCH_STEP_ENTRIES   64
#define TICKS_PER_SPACE_CHECK 3

static void lane_heard(struct lane *lane)
{
	atomic_store(&lane->heard_us, monotonic_us());
}

/* ---- The boxes ---- */

/* One more new job, if there is room: the room is taken at once. */
static bool lane_take_room(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	bool room = lane->shared.room > 0 && !lane->shared.winding_down;
	lane->shared.room -= room;
	lane->look.large_room = lane->shared.large_room;
	pthread_mutex_unlock(&lane->shared.lock);
	return room;
}

static void lane_return_room(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	lane->shared.room++;
	pthread_mutex_unlock(&lane->shared.lock);
}

static void lane_post(struct lane *lane, struct job *job)
{
	pthread_mutex_lock(&lane->shared.lock);
	STAILQ_INSERT_TAIL(&lane->shared.out, job, errand);
	lane->shared.n_new += job->state == JOB_NEW;
	pthread_mutex_unlock(&lane->shared.lock);
	lane->setup.posted(lane->setup.context);
}

static struct job *lane_next_errand(struct lane *lane, bool *ret_winding_down, bool *ret_stop)
{
	pthread_mutex_lock(&lane->shared.lock);
	struct job *job = STAILQ_FIRST(&lane->shared.in);
	if (job)
		STAILQ_REMOVE_HEAD(&lane->shared.in, errand);
	*ret_winding_down = lane->shared.winding_down;
	*ret_stop = lane->shared.stop;
	pthread_mutex_unlock(&lane->shared.lock);
	return job;
}

/* May this folder be taken from? Asked when it was opened, and after each scan until it may. */
static void lane_post_question(struct lane *lane)
{
	if (!lane->spool.first.ask)
		return;
	json_t *question = spool_first_question(&lane->spool);
	if (!question)
		return;
	lane->spool.first.ask = false;
	pthread_mutex_lock(&lane->shared.lock);
	json_t *before = lane->shared.question;
	lane->shared.question = question;
	lane->shared.asked = false;
	pthread_mutex_unlock(&lane->shared.lock);
	json_decref(before);
	lane->setup.posted(lane->setup.context);
}

static void lane_take_answer(struct lane *lane)
{
	uint8_t folder[ORIGIN_HASH_BYTES];

	pthread_mutex_lock(&lane->shared.lock);
	bool answered = lane->shared.answered, may = lane->shared.may;
	memcpy(folder, lane->shared.folder, sizeof(folder));
	lane->shared.answered = false;
	pthread_mutex_unlock(&lane->shared.lock);
	if (answered)
		spool_first_answer(&lane->spool, folder, may);
}

/* A new search ends the one under way: whoever asked for that has stopped waiting. */
static void lane_begin_search(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	struct leftovers_question *question = lane->shared.search;
	lane->shared.search = NULL;
	pthread_mutex_unlock(&lane->shared.lock);
	if (!question)
		return;
	leftovers_free(lane->leftovers);
	lane->leftovers = leftovers_begin(&lane->spool, question, lane->look.settled,
			clock_now_us(lane->setup.clock));
}

static void lane_end_search(struct lane *lane)
{
	json_t *found = leftovers_report(lane->leftovers);

	lane->leftovers = leftovers_free(lane->leftovers);
	pthread_mutex_lock(&lane->shared.lock);
	json_t *before = lane->shared.found;
	/* Not for somebody who has asked for another account meanwhile. */
	lane->shared.found = lane->shared.search ? NULL : found;
	json_t *unwanted = lane->shared.search ? found : NULL;
	pthread_mutex_unlock(&lane->shared.lock);
	json_decref(before);
	json_decref(unwanted);
	lane->setup.posted(lane->setup.context);
}

/* True when there is more to search. */
static bool lane_search_step(struct lane *lane)
{
	if (!lane->leftovers)
		return false;
	if (leftovers_step(lane->leftovers, SEARCH_STEP_ENTRIES, clock_now_us(lane->setup.clock)) >
			0)
		return true;
	lane_end_search(lane);
	return false;
}

/* ---- A turn ---- */

static void on_lane_turn(uv_idle_t *idle);

static void lane_wake(struct lane *lane)
{
	uv_idle_start(&lane->idle, on_lane_turn);
}

static void on_lane_due(uv_timer_t *timer)
{
	lane_wake(timer->data);
}

/* Deferred (large) candidates come first: they have few slots, and no other file takes these slots.
 */
static struct candidate *lane_next_candidate(struct lane *lane, int64_t now_us)
{
	struct queue *queue = lane->spool.queue;
	struct candidate *candidate = NULL;

	if (lane->look.large_room)
		candidate = queue_take_deferred(queue);
	return candidate ? candidate : queue_take(queue, now_us);
}

static bool lane_look(struct lane *lane)
{
	int64_t now_us = monotonic_us();
	struct candidate *candidate = NULL;
	struct job *job = NULL;

	if (!brake_allows(&lane->spool.brake, lane->under_way, now_us) || !lane_take_room(lane))
		return false;
	candidate = lane_next_candidate(lane, now_us);
	if (candidate)
		job = look_at(&lane->look, candidate);
	if (job) {
		lane->under_way++;
		lane_post(lane, job);
	} else {
		lane_return_room(lane);
	}
	lane_heard(lane);
	return candidate != NULL;
}

/* Steps of a search, steps of a scan and looks, by turns. True when there is more to do at once. */
static bool lane_work(struct lane *lane)
{
	int64_t until_us = monotonic_us() + TURN_US;
	bool scanned, looked, searched;

	do {
		searched = lane_search_step(lane);
		scanned = spool_scanning(&lane->spool);
		if (scanned)
			spool_scan_step(&lane->spool);
		lane_heard(lane);
		looked = lane_look(lane);
	} while ((searched || scanned || looked) && monotonic_us() < until_us);
	return searched || scanned || looked;
}

static int64_t lane_due_us(struct lane *lane)
{
	const struct spool *spool = &lane->spool;
	int64_t due_us = queue_next_due_us(spool->queue);

	pthread_mutex_lock(&lane->shared.lock);
	bool room = lane->shared.room > 0, large_room = lane->shared.large_room;
	pthread_mutex_unlock(&lane->shared.lock);
	/* Mail says when there is room again. */
	if (!room)
		return INT64_MAX;
	if (large_room && queue_has_deferred(spool->queue))
		due_us = 0;
	if (due_us == INT64_MAX || spool->brake.pause_us == 0)
		return due_us;
	/* The brake lets one candidate through when its pause is over and no job is under way. */
	if (lane->under_way > 0)
		return INT64_MAX;
	return due_us > spool->brake.until_us ? due_us : spool->brake.until_us;
}

/* True when a candidate is due already; else sets the timer to the time when one is. */
static bool lane_await_next(struct lane *lane)
{
	int64_t next_us = lane_due_us(lane), now_us = monotonic_us();

	if (next_us == INT64_MAX)
		return false;
	if (next_us <= now_us)
		return true;
	/* The loop's own clock stands still during a turn. Rounded up: a timer that is early would
	 * only find that it was. */
	uv_update_time(&lane->loop);
	uv_timer_start(&lane->due, on_lane_due, (uint64_t)(next_us - now_us + 999) / 1000, 0);
	return false;
}

static void on_lane_turn(uv_idle_t *idle)
{
	struct lane *lane = idle->data;

	spool_turn(&lane->spool);
	bool more = lane_work(lane);
	lane_post_question(lane);
	more |= lane_await_next(lane);
	if (!more)
		uv_idle_stop(idle);
}

/* ---- What wakes it ---- */

static void on_lane_watch(void *context, enum watch_event event, size_t spool, const char *path)
{
	struct lane *lane = context;

	lane_heard(lane);
	if (event == WATCH_OVERFLOW)
		lane->spool.scan_wanted = true;
	else
		spool_event(&lane->spool, event, path);
	lane_wake(lane);
}

static void on_lane_rescan(uv_timer_t *timer)
{
	struct lane *lane = timer->data;

	lane->spool.scan_wanted = true;
	lane_wake(lane);
}

static void on_lane_housekeeping(uv_timer_t *timer)
{
	struct lane *lane = timer->data;

	spool_check(&lane->spool);
	lane_post_question(lane);
	if (lane->ticks++ % TICKS_PER_SPACE_CHECK == 0)
		spool_check_space(&lane->spool);
	json_t *report = report_spool(&lane->spool, lane->setup.config->n_spools);
	pthread_mutex_lock(&lane->shared.lock);
	json_t *before = lane->shared.report;
	lane->shared.report = report;
	lane->shared.report_us = monotonic_us();
	pthread_mutex_unlock(&lane->shared.lock);
	json_decref(before);
	lane_heard(lane);
	lane_wake(lane);
}

static void lane_close(struct lane *lane)
{
	spool_close(&lane->spool);
	lane->tools.watch = watch_stop(lane->tools.watch);
	uv_close((uv_handle_t *)&lane->mail, NULL);
	uv_close((uv_handle_t *)&lane->idle, NULL);
	uv_close((uv_handle_t *)&lane->due, NULL);
	uv_close((uv_handle_t *)&lane->rescan, NULL);
	uv_close((uv_handle_t *)&lane->housekeeping, NULL);
}

static void on_lane_mail(uv_async_t *async)
{
	struct lane *lane = async->data;
	bool winding_down, stop;
	struct job *job;

	while ((job = lane_next_errand(lane, &winding_down, &stop))) {
		lane_heard(lane);
		if (job->state == JOB_REMOVING && !job->over) {
			job_remove(job);
			spool_report_wipe(&lane->spool, &job->source);
			lane_post(lane, job);
		} else {
			lane->under_way--;
			look_after(&lane->look, job, winding_down);
			job_free(job);
		}
	}
	lane_take_answer(lane);
	lane_heard(lane);
	lane_begin_search(lane);
	if (stop)
		lane_close(lane);
	else
		lane_wake(lane);
}

/* ---- Beginning and end ---- */

/* A power of two. */
static size_t lane_portion(size_t all, size_t least, size_t n_spools)
{
	size_t portion = all;

	while (portion > least && portion * n_spools > all)
		portion /= 2;
	return portion;
}

static int lane_prepare_loop(struct lane *lane)
{
	int r = uv_loop_init(&lane->loop);

	if (r < 0)
		return r;
	lane->prepared = true;
	r = uv_async_init(&lane->loop, &lane->mail, on_lane_mail);
	uv_idle_init(&lane->loop, &lane->idle);
	uv_timer_init(&lane->loop, &lane->due);
	uv_timer_init(&lane->loop, &lane->rescan);
	uv_timer_init(&lane->loop, &lane->housekeeping);
	lane->mail.data = lane->idle.data = lane->due.data = lane;
	lane->rescan.data = lane->housekeeping.data = lane;
	return r;
}

static int lane_prepare_watch(struct lane *lane, struct reason *reason)
{
	int r = watch_start(&lane->loop, on_lane_watch, lane, &lane->tools.watch);

	if (r == -EMFILE)
		return reason_set_error(reason, r,
				"watching a spool (raise fs.inotify.max_user_instances)");
	return r < 0 ? reason_set_error(reason, r, "watching a spool") : 0;
}

static int lane_prepare_spool(struct lane *lane, struct reason *reason)
{
	const struct config *config = lane->setup.config;
	const struct config_spool *own = &config->spools[lane->setup.index];
	struct spool_setup setup = {.index = lane->setup.index,
			.config = own,
			.tools = &lane->tools,
			.candidates = lane_portion(QUEUE, QUEUE_SHARE, config->n_spools)};
	int r = config_profile_of(config, own, &setup.profile);

	if (r < 0)
		return reason_set(reason, -RE_CONFIG, "spool %s: there is no profile %s", own->name,
				own->profile);
	return spool_init(&lane->spool, &setup, reason);
}

int lane_thread_prepare(struct lane *lane, struct reason *reason)
{
	const struct config *config = lane->setup.config;
	size_t remembered = lane_portion(REMEMBERED, REMEMBERED_SHARE, config->n_spools);

	lane->tools = (struct spool_tools){.clock = lane->setup.clock,
			.reported = seen_new(remembered),
			.notices = lane->setup.notices,
			.rescan_us = config->rescan_us};
	lane->look = (struct look){.clock = lane->setup.clock,
			.spool = &lane->spool,
			.parked = seen_new(remembered),
			.settled = seen_new(remembered)};
	if (!lane->tools.reported || !lane->look.parked || !lane->look.settled)
		return reason_set_error(reason, -ENOMEM, "preparing a spool");
	int r = lane_prepare_loop(lane);
	if (r < 0)
		return reason_set_error(reason, r, "preparing the loop of a spool");
	r = lane_prepare_watch(lane, reason);
	return r < 0 ? r : lane_prepare_spool(lane, reason);
}

void lane_thread_run(void *argument)
{
	struct lane *lane = argument;
	uint64_t rescan_ms = (uint64_t)lane->tools.rescan_us / 1000;

	uv_timer_start(&lane->rescan, on_lane_rescan, rescan_ms, rescan_ms);
	uv_timer_start(&lane->housekeeping, on_lane_housekeeping, 0, HOUSEKEEPING_MS);
	uv_run(&lane->loop, UV_RUN_DEFAULT);
	pthread_mutex_lock(&lane->shared.lock);
	lane->shared.ended = true;
	pthread_mutex_unlock(&lane->shared.lock);
	lane->setup.posted(lane->setup.context);
}

void lane_thread_free(struct lane *lane)
{
	/* The thread has closed its handles already; one that never ran has not. */
	if (lane->prepared && !lane->shared.ended) {
		lane_close(lane);
		uv_run(&lane->loop, UV_RUN_DEFAULT);
	}
	if (lane->prepared)
		uv_loop_close(&lane->loop);
	leftovers_free(lane->leftovers);
	spool_free(&lane->spool);
	seen_free(lane->tools.reported);
	seen_free(lane->look.parked);
	seen_free(lane->look.settled);
}
