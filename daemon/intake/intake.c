#include "daemon/intake/intake.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/event.h"
#include "daemon/intake/descriptors.h"
#include "daemon/intake/intake_state.h"
#include "daemon/intake/look.h"
#include "daemon/intake/spool/report.h"

#define LOOKS_PER_TURN        32
#define REMEMBERED            4096 /* refusals told, files parked */
#define HOUSEKEEPING_MS       2000
#define TICKS_PER_SPACE_CHECK 3
#define GRACE_MS              5000
#define QUIET_ATTEMPTS        6 /* about three seconds: both daemons may be starting */

/* ---- The turn: a little of everything, then the loop again ---- */

static bool scan_some(struct intake *intake)
{
	bool more = false;

	for (size_t i = 0; i < intake->config->n_spools; i++) {
		struct spool *spool = &intake->spools[i];
		spool_turn(spool);
		if (spool_scanning(spool))
			spool_scan_step(spool);
		more |= spool_scanning(spool);
	}
	return more;
}

static bool may_take(const struct intake *intake, const struct spool *spool, int64_t now_us)
{
	return keeper_link_ready(intake->link) && jobs_room(intake->jobs, spool->index) &&
	       brake_allows(&spool->brake, jobs_of(intake->jobs, spool->index), now_us);
}

/* Those that were deferred come first: there are few places for them, and others take none of
 * these.
 */
static struct candidate *take_from(struct intake *intake, struct spool *spool, int64_t now_us)
{
	struct candidate *candidate = NULL;

	if (!may_take(intake, spool, now_us))
		return NULL;
	if (jobs_room_for_size(intake->jobs, JOBS_LARGE_BYTES))
		candidate = queue_take_deferred(spool->queue);
	return candidate ? candidate : queue_take(spool->queue, now_us);
}

/* One spool after the other. */
static struct candidate *take_next(struct intake *intake, int64_t now_us)
{
	size_t n = intake->config->n_spools;
	struct candidate *candidate = NULL;

	for (size_t i = 0; i < n && !candidate; i++) {
		candidate = take_from(intake, &intake->spools[intake->next_spool], now_us);
		intake->next_spool = (intake->next_spool + 1) % n;
	}
	return candidate;
}

static void look_at_some(struct intake *intake)
{
	struct candidate *candidate;
	int64_t now_us = monotonic_us();

	for (int i = 0; i < LOOKS_PER_TURN && (candidate = take_next(intake, now_us)); i++)
		look_at(intake, candidate);
}

static void on_due(uv_timer_t *timer)
{
	intake_wake(timer->data);
}

/* When there is something to look at in this spool, as far as only time can tell. */
static int64_t spool_due_us(const struct intake *intake, const struct spool *spool)
{
	int64_t due_us = queue_next_due_us(spool->queue);

	if (!keeper_link_ready(intake->link) || !jobs_room(intake->jobs, spool->index))
		return INT64_MAX;
	if (queue_has_deferred(spool->queue) && jobs_room_for_size(intake->jobs, JOBS_LARGE_BYTES))
		due_us = 0;
	if (due_us == INT64_MAX || spool->brake.pause_us == 0)
		return due_us;
	if (jobs_of(intake->jobs, spool->index) > 0)
		return INT64_MAX;
	return due_us > spool->brake.until_us ? due_us : spool->brake.until_us;
}

/* True when a candidate is due already; else has the timer wake us when one is. */
static bool await_next(struct intake *intake)
{
	int64_t next_us = INT64_MAX, now_us = monotonic_us();

	for (size_t i = 0; i < intake->config->n_spools; i++) {
		int64_t due_us = spool_due_us(intake, &intake->spools[i]);
		if (due_us < next_us)
			next_us = due_us;
	}
	if (next_us == INT64_MAX)
		return false;
	if (next_us <= now_us)
		return true;
	uv_update_time(intake->loop);
	uv_timer_start(&intake->due, on_due, (uint64_t)(next_us - now_us + 999) / 1000, 0);
	return false;
}

static void on_turn(uv_idle_t *idle)
{
	struct intake *intake = idle->data;
	bool more = scan_some(intake);

	look_at_some(intake);
	more |= await_next(intake);
	if (!more)
		uv_idle_stop(idle);
}

void intake_wake(struct intake *intake)
{
	if (!intake->stopping)
		uv_idle_start(&intake->turn, on_turn);
}

/* ---- What the parts tell ---- */

static void on_watch(void *context, enum watch_event event, size_t spool, const char *path)
{
	struct intake *intake = context;

	if (event == WATCH_OVERFLOW) {
		for (size_t i = 0; i < intake->config->n_spools; i++)
			intake->spools[i].scan_wanted = true;
	} else {
		spool_event(&intake->spools[spool], event, path);
	}
	intake_wake(intake);
}

static void report(struct intake *intake)
{
	if (keeper_link_ready(intake->link))
		keeper_link_send(intake->link,
				report_build(intake->spools, intake->config->n_spools));
}

static void on_keeper_ready(void *context)
{
	struct intake *intake = context;

	intake->connected = true;
	if (trouble_over(&intake->keeper))
		event_log(LOG_NOTICE, EVENT_PLAIN, NULL, "the keeper is there again");
	report(intake);
	intake_wake(intake);
}

static int on_keeper_message(void *context, json_t *message, struct socket_fds *fds)
{
	struct intake *intake = context;
	int r = jobs_message(intake->jobs, message, fds);

	intake_wake(intake);
	return r;
}

static void on_keeper_lost(void *context, int r, unsigned attempts)
{
	struct intake *intake = context;
	bool tell = intake->connected || attempts >= QUIET_ATTEMPTS;

	intake->connected = false;
	if (tell && trouble_hit(&intake->keeper, monotonic_us()) > 0)
		event_log(LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the keeper cannot be reached (%s): recordings wait in their spools",
				error_text(r));
	jobs_lost(intake->jobs);
}

static void on_housekeeping(uv_timer_t *timer)
{
	struct intake *intake = timer->data;
	bool check_space = intake->ticks++ % TICKS_PER_SPACE_CHECK == 0;

	for (size_t i = 0; i < intake->config->n_spools; i++) {
		spool_check(&intake->spools[i]);
		if (check_space)
			spool_check_space(&intake->spools[i]);
	}
	report(intake);
	intake_wake(intake);
}

static void on_rescan(uv_timer_t *timer)
{
	struct intake *intake = timer->data;

	for (size_t i = 0; i < intake->config->n_spools; i++)
		intake->spools[i].scan_wanted = true;
	intake_wake(intake);
}

static void on_lease_break(uv_signal_t *signal, int number)
{
	struct intake *intake = signal->data;

	jobs_yield(intake->jobs);
}

/* ---- Stopping ---- */

static void close_handle(void *handle)
{
	uv_handle_t *h = handle;

	if (h->type != UV_UNKNOWN_HANDLE && !uv_is_closing(h))
		uv_close(h, NULL);
}

static void shut_down(struct intake *intake)
{
	if (intake->shut_down)
		return;
	intake->stopping = intake->shut_down = true;
	intake->probe = probe_client_stop(intake->probe);
	intake->link = keeper_link_stop(intake->link);
	for (size_t i = 0; intake->spools && i < intake->config->n_spools; i++)
		spool_close(&intake->spools[i]);
	intake->watch = watch_stop(intake->watch);
	close_handle(&intake->turn);
	close_handle(&intake->due);
	close_handle(&intake->rescan);
	close_handle(&intake->housekeeping);
	close_handle(&intake->grace);
	close_handle(&intake->lease_break);
	if (intake->stopped)
		intake->stopped(intake->context);
}

static void on_job_ended(void *context, const struct job_outcome *outcome)
{
	struct intake *intake = context;

	look_after(intake, outcome);
	if (intake->stopping && jobs_running(intake->jobs) == 0)
		shut_down(intake);
	else
		intake_wake(intake);
}

static void on_grace_over(uv_timer_t *timer)
{
	struct intake *intake = timer->data;

	jobs_wind_down(intake->jobs, true);
}

void intake_stop(struct intake *intake)
{
	if (intake->stopping)
		return;
	intake->stopping = true;
	uv_idle_stop(&intake->turn);
	uv_timer_start(&intake->grace, on_grace_over, GRACE_MS, 0);
	intake->probe = probe_client_stop(intake->probe);
	jobs_wind_down(intake->jobs, false);
	if (jobs_running(intake->jobs) == 0)
		shut_down(intake);
}

/* ---- Starting ---- */

/* The probe lies beside the daemon in a build folder, in its own place when installed. */
static const char *probe_program(const struct config *config, char buf[static PATH_MAX])
{
	static const char name[] = "recseal-probe";
	ssize_t n = readlink("/proc/self/exe", buf, PATH_MAX - 1);

	if (config->probe_program)
		return config->probe_program;
	if (n > 0) {
		buf[n] = '\0';
		char *file = strrchr(buf, '/') + 1;
		if ((size_t)(file - buf) + sizeof(name) <= PATH_MAX) {
			memcpy(file, name, sizeof(name));
			if (access(buf, X_OK) == 0)
				return buf;
		}
	}
	return PKGLIBEXECDIR "/recseal-probe";
}

static int start_link(struct intake *intake)
{
	const struct keeper_link_events events = {
			on_keeper_ready, on_keeper_message, on_keeper_lost, intake};
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/intake", intake->config->socket_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return keeper_link_start(intake->loop, path, &events, &intake->link);
}

static size_t affordable_jobs(const struct config *config)
{
	size_t limit = descriptors_limit(),
	       jobs = descriptors_jobs(limit, config->jobs, config->n_spools);

	if (jobs < config->jobs)
		event_log(LOG_WARNING, EVENT_PLAIN, NULL,
				"%zu open files are allowed: that is enough for %zu recordings in progress, "
				"not for Jobs=%u (raise LimitNOFILE=)",
				limit, jobs, config->jobs);
	return jobs;
}

static int start_jobs(struct intake *intake)
{
	const struct jobs_setup setup = {
			.loop = intake->loop,
			.clock = intake->clock,
			.link = intake->link,
			.probe = intake->probe,
			.max = affordable_jobs(intake->config),
			.n_spools = intake->config->n_spools,
			.slow_us = intake->config->probe_timeout_us / 2,
			.ended = on_job_ended,
			.context = intake,
	};

	return jobs_new(&setup, &intake->jobs);
}

/* A power of two. */
static size_t queue_share(size_t n_spools)
{
	size_t share = INTAKE_QUEUE;

	while (share > INTAKE_QUEUE_SHARE && share * n_spools > INTAKE_QUEUE)
		share /= 2;
	return share;
}

static int start_spools(struct intake *intake)
{
	size_t n = intake->config->n_spools;

	intake->tools = (struct spool_tools){
			.clock = intake->clock,
			.watch = intake->watch,
			.told = intake->told,
			.rescan_us = intake->config->rescan_us,
	};
	intake->spools = calloc(n ? n : 1, sizeof(*intake->spools));
	if (!intake->spools)
		return -ENOMEM;
	int r = 0;
	for (size_t i = 0; i < n; i++) { /* all, so that all can be freed */
		int failed = spool_init(&intake->spools[i], i, intake->config, &intake->tools,
				queue_share(n));
		r = failed < 0 ? failed : r;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		spool_check(&intake->spools[i]);
	return r;
}

static void start_handles(struct intake *intake)
{
	uint64_t rescan_ms = (uint64_t)intake->config->rescan_us / 1000;

	uv_idle_init(intake->loop, &intake->turn);
	uv_timer_init(intake->loop, &intake->due);
	uv_timer_init(intake->loop, &intake->rescan);
	uv_timer_init(intake->loop, &intake->housekeeping);
	uv_timer_init(intake->loop, &intake->grace);
	uv_signal_init(intake->loop, &intake->lease_break);
	intake->turn.data = intake->due.data = intake->rescan.data = intake;
	intake->housekeeping.data = intake->grace.data = intake->lease_break.data = intake;
	uv_timer_start(&intake->rescan, on_rescan, rescan_ms, rescan_ms);
	uv_timer_start(&intake->housekeeping, on_housekeeping, 0, HOUSEKEEPING_MS);
}

static int start_parts(struct intake *intake)
{
	char buf[PATH_MAX];

	/* Before the first lease: the default action of SIGIO is to die. */
	int r = uv_signal_start(&intake->lease_break, on_lease_break, SIGIO);
	if (r == 0)
		r = watch_start(intake->loop, on_watch, intake, &intake->watch);
	if (r == 0)
		r = probe_client_start(intake->loop, probe_program(intake->config, buf),
				intake->config->probe_timeout_us, &intake->probe);
	if (r == 0)
		r = start_link(intake);
	if (r == 0)
		r = start_jobs(intake);
	return r < 0 ? r : start_spools(intake);
}

int intake_start(const struct intake_setup *setup, struct intake **ret_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return -ENOMEM;
	intake->loop = setup->loop;
	intake->config = setup->config;
	intake->clock = setup->clock;
	intake->told = seen_new(REMEMBERED);
	intake->parked = seen_new(REMEMBERED);
	int r = -ENOMEM;
	if (!intake->told || !intake->parked)
		goto fail;
	start_handles(intake);
	r = start_parts(intake);
	if (r < 0)
		goto fail;
	intake->stopped = setup->stopped;
	intake->context = setup->context;
	intake_wake(intake);
	*ret_intake = intake;
	return 0;
fail:
	shut_down(intake);
	while (uv_run(intake->loop, UV_RUN_DEFAULT))
		;
	intake_free(intake);
	return r;
}

struct intake *intake_free(struct intake *intake)
{
	if (!intake)
		return NULL;
	jobs_free(intake->jobs);
	for (size_t i = 0; intake->spools && i < intake->config->n_spools; i++)
		spool_free(&intake->spools[i]);
	free(intake->spools);
	seen_free(intake->told);
	seen_free(intake->parked);
	free(intake);
	return NULL;
}
