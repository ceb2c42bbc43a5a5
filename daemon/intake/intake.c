#include "daemon/intake/intake.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config.h"
#include "daemon/common/event.h"
#include "daemon/intake/descriptors.h"
#include "daemon/intake/look.h"
#include "daemon/intake/probe_program.h"
#include "daemon/intake/spool/report.h"
#include "daemon/intake/turn.h"

#define LOOKS_PER_TURN        32
#define REMEMBERED            4096 /* refusals reported, files parked */
#define HOUSEKEEPING_MS       2000
#define TICKS_PER_SPACE_CHECK 3
#define GRACE_MS              5000
#define QUIET_ATTEMPTS        6 /* about three seconds: both daemons may be starting */

struct intake {
	uv_loop_t *loop;
	const struct clock *clock;
	void (*stopped)(void *context);
	void *context;

	struct seen *reported; /* refusals in the journal */
	struct watch *watch;
	struct probe_client *probe;
	struct keeper_link *link;
	struct jobs *jobs;
	struct spool_tools tools;
	struct spool *spools;
	size_t n_spools;
	struct turn turn; /* of the spools */
	struct look look;

	uv_idle_t idle;          /* runs while there is work at hand */
	uv_timer_t due;          /* the next candidate's time */
	uv_timer_t rescan;       /* of every spool */
	uv_timer_t housekeeping; /* roots, report */
	uv_timer_t grace;        /* of a stop */
	uv_signal_t lease_break;

	struct outage keeper;
	bool connected, stopping, shut_down;
	unsigned ticks;
};

/* ---- The turn: a little of everything, then the loop again ---- */

static void on_intake_turn(uv_idle_t *idle);

static void intake_wake(struct intake *intake)
{
	if (!intake->stopping)
		uv_idle_start(&intake->idle, on_intake_turn);
}

static void on_candidate_due(uv_timer_t *timer)
{
	intake_wake(timer->data);
}

static bool intake_scan_some(struct intake *intake)
{
	bool more = false;

	for (size_t i = 0; i < intake->n_spools; i++) {
		struct spool *spool = &intake->spools[i];
		spool_turn(spool);
		if (spool_scanning(spool))
			spool_scan_step(spool);
		more |= spool_scanning(spool);
	}
	return more;
}

static void intake_look_at_some(struct intake *intake)
{
	struct candidate *candidate;
	int64_t now_us = monotonic_us();

	for (int i = 0; i < LOOKS_PER_TURN && (candidate = turn_take(&intake->turn, now_us)); i++)
		look_at(&intake->look, candidate);
}

/* True when a candidate is due already; else sets the timer to the time when one is. */
static bool intake_await_next(struct intake *intake)
{
	int64_t next_us = turn_due_us(&intake->turn), now_us = monotonic_us();

	if (next_us == INT64_MAX)
		return false;
	if (next_us <= now_us)
		return true;
	/* The loop's own clock stands still during a turn. Rounded up: a timer that is early would
	 * only find that it was. */
	uv_update_time(intake->loop);
	uv_timer_start(&intake->due, on_candidate_due, (uint64_t)(next_us - now_us + 999) / 1000,
			0);
	return false;
}

static void on_intake_turn(uv_idle_t *idle)
{
	struct intake *intake = idle->data;
	bool more = intake_scan_some(intake);

	intake_look_at_some(intake);
	more |= intake_await_next(intake);
	if (!more)
		uv_idle_stop(idle);
}

/* ---- What the parts report ---- */

static void intake_log_notice(void *context, const struct notice *notice)
{
	const struct event_fields fields = {.spool = notice->spool};

	event_log(notice->priority, notice->event, &fields, "%s", notice->text);
}

static void intake_want_scans(struct intake *intake)
{
	for (size_t i = 0; i < intake->n_spools; i++)
		intake->spools[i].scan_wanted = true;
}

static void on_watch_event(void *context, enum watch_event event, size_t spool, const char *path)
{
	struct intake *intake = context;

	/* The kernel does not say whose events it has dropped. */
	if (event == WATCH_OVERFLOW)
		intake_want_scans(intake);
	else
		spool_event(&intake->spools[spool], event, path);
	intake_wake(intake);
}

static void intake_send_report(struct intake *intake)
{
	if (keeper_link_ready(intake->link))
		keeper_link_send(intake->link, report_build(intake->spools, intake->n_spools));
}

static void on_keeper_ready(void *context)
{
	struct intake *intake = context;

	intake->connected = true;
	if (outage_over(&intake->keeper))
		event_log(LOG_NOTICE, EVENT_PLAIN, NULL, "the keeper is there again");
	intake_send_report(intake);
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
	/* A lost connection is reported at once, one that never was only after a while. */
	bool tell = intake->connected || attempts >= QUIET_ATTEMPTS;

	intake->connected = false;
	if (tell && outage_failed(&intake->keeper, monotonic_us()) > 0)
		event_log(LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the keeper cannot be reached (%s): recordings wait in their "
				"spools",
				error_text(r));
	jobs_lost(intake->jobs);
}

static void on_housekeeping(uv_timer_t *timer)
{
	struct intake *intake = timer->data;
	bool check_space = intake->ticks++ % TICKS_PER_SPACE_CHECK == 0;

	for (size_t i = 0; i < intake->n_spools; i++) {
		spool_check(&intake->spools[i]);
		if (check_space)
			spool_check_space(&intake->spools[i]);
	}
	intake_send_report(intake);
	intake_wake(intake);
}

static void on_rescan(uv_timer_t *timer)
{
	intake_want_scans(timer->data);
	intake_wake(timer->data);
}

static void on_lease_break(uv_signal_t *signal, int number)
{
	struct intake *intake = signal->data;

	jobs_yield(intake->jobs);
}

/* ---- Stopping ---- */

static void intake_close_handle(void *handle)
{
	uv_handle_t *h = handle;

	/* A start that failed early has not initialised all of them. */
	if (h->type != UV_UNKNOWN_HANDLE && !uv_is_closing(h))
		uv_close(h, NULL);
}

static void intake_shut_down(struct intake *intake)
{
	if (intake->shut_down)
		return;
	intake->stopping = intake->shut_down = true;
	intake->probe = probe_client_stop(intake->probe);
	intake->link = keeper_link_stop(intake->link);
	for (size_t i = 0; i < intake->n_spools; i++)
		spool_close(&intake->spools[i]);
	intake->watch = watch_stop(intake->watch);
	intake_close_handle(&intake->idle);
	intake_close_handle(&intake->due);
	intake_close_handle(&intake->rescan);
	intake_close_handle(&intake->housekeeping);
	intake_close_handle(&intake->grace);
	intake_close_handle(&intake->lease_break);
	if (intake->stopped)
		intake->stopped(intake->context);
}

static void on_job_ended(void *context, const struct job_outcome *outcome)
{
	struct intake *intake = context;

	look_after(&intake->look, outcome, intake->stopping);
	if (intake->stopping && jobs_running(intake->jobs) == 0)
		intake_shut_down(intake);
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
	uv_idle_stop(&intake->idle);
	uv_timer_start(&intake->grace, on_grace_over, GRACE_MS, 0);
	/* Before the jobs: jobs_wind_down() relies on it. */
	intake->probe = probe_client_stop(intake->probe);
	jobs_wind_down(intake->jobs, false);
	/* Otherwise the last job to end shuts down. */
	if (jobs_running(intake->jobs) == 0)
		intake_shut_down(intake);
}

/* ---- Starting ---- */

static int start_watch(struct intake *intake, struct reason *reason)
{
	int r = watch_start(intake->loop, on_watch_event, intake, &intake->watch);

	if (r == -EMFILE)
		return reason_set_error(reason, r,
				"watching the spools (raise fs.inotify.max_user_instances)");
	return r < 0 ? reason_set_error(reason, r, "watching the spools") : 0;
}

static int start_probe(struct intake *intake, const struct config *config, struct reason *reason)
{
	char buf[PATH_MAX];
	const char *program = config->probe_program ? config->probe_program
						    : probe_program_find(buf, sizeof(buf));
	int r = probe_client_start(intake->loop, program, config->probe_timeout_us, &intake->probe);

	return r < 0 ? reason_set_error(reason, r, "starting the probe %s", program) : 0;
}

static int start_link(struct intake *intake, const char *socket_dir, struct reason *reason)
{
	const struct keeper_link_events events = {
			on_keeper_ready, on_keeper_message, on_keeper_lost, intake};
	_cleanup_free_ char *path = NULL;
	int r = -ENOMEM;

	if (asprintf(&path, "%s/intake", socket_dir) < 0)
		path = NULL;
	else
		r = keeper_link_start(intake->loop, path, &events, &intake->link);
	return r < 0 ? reason_set_error(reason, r, "connecting to the keeper") : 0;
}

static size_t affordable_jobs(const struct config *config)
{
	size_t limit = descriptors_limit(),
	       jobs = descriptors_jobs(limit, config->jobs, config->n_spools);

	if (jobs < config->jobs)
		event_log(LOG_WARNING, EVENT_PLAIN, NULL,
				"%zu open files are allowed: enough for %zu recordings in "
				"progress, not for Jobs=%u (raise LimitNOFILE=)",
				limit, jobs, config->jobs);
	return jobs;
}

static int start_jobs(struct intake *intake, const struct config *config, struct reason *reason)
{
	const struct jobs_setup setup = {
			.loop = intake->loop,
			.clock = intake->clock,
			.link = intake->link,
			.probe = intake->probe,
			.max = affordable_jobs(config),
			.n_spools = config->n_spools,
			.slow_us = config->probe_timeout_us / 2,
			.ended = on_job_ended,
			.context = intake,
	};
	int r = jobs_new(&setup, &intake->jobs);

	return r < 0 ? reason_set_error(reason, r, "preparing %zu jobs", setup.max) : 0;
}

/* A power of two. */
static size_t spool_queue_share(size_t n_spools)
{
	size_t share = INTAKE_QUEUE;

	while (share > INTAKE_QUEUE_SHARE && share * n_spools > INTAKE_QUEUE)
		share /= 2;
	return share;
}

static int start_spool(
		struct intake *intake, const struct config *config, size_t i, struct reason *reason)
{
	struct spool_setup setup = {.index = i,
			.config = &config->spools[i],
			.tools = &intake->tools,
			.candidates = spool_queue_share(config->n_spools)};
	int r = config_profile_of(config, setup.config, &setup.profile);

	if (r < 0)
		return reason_set(reason, -RE_CONFIG, "spool %s: there is no profile %s",
				setup.config->name, setup.config->profile);
	return spool_init(&intake->spools[i], &setup, reason);
}

static int start_spools(struct intake *intake, const struct config *config, struct reason *reason)
{
	size_t n = config->n_spools;
	int r = 0;

	intake->tools = (struct spool_tools){
			.clock = intake->clock,
			.watch = intake->watch,
			.reported = intake->reported,
			.notices = {.post = intake_log_notice, .context = intake},
			.rescan_us = config->rescan_us,
	};
	intake->spools = calloc(n ? n : 1, sizeof(*intake->spools));
	if (!intake->spools)
		return reason_set_error(reason, -ENOMEM, "preparing %zu spools", n);
	/* Counted one by one: intake_free() frees as many as were made. */
	while (r == 0 && intake->n_spools < n) {
		intake->spools[intake->n_spools].root_fd = -1;
		r = start_spool(intake, config, intake->n_spools++, reason);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		spool_check(&intake->spools[i]);
	return r;
}

static void start_handles(struct intake *intake, int64_t rescan_us)
{
	uint64_t rescan_ms = (uint64_t)rescan_us / 1000;

	uv_idle_init(intake->loop, &intake->idle);
	uv_timer_init(intake->loop, &intake->due);
	uv_timer_init(intake->loop, &intake->rescan);
	uv_timer_init(intake->loop, &intake->housekeeping);
	uv_timer_init(intake->loop, &intake->grace);
	uv_signal_init(intake->loop, &intake->lease_break);
	intake->idle.data = intake->due.data = intake->rescan.data = intake;
	intake->housekeeping.data = intake->grace.data = intake->lease_break.data = intake;
	uv_timer_start(&intake->rescan, on_rescan, rescan_ms, rescan_ms);
	uv_timer_start(&intake->housekeeping, on_housekeeping, 0, HOUSEKEEPING_MS);
}

/* Each part after the parts that it needs. */
static int start_parts(struct intake *intake, const struct config *config, struct reason *reason)
{
	/* Before the first lease: the default action of SIGIO is to die. */
	int r = uv_signal_start(&intake->lease_break, on_lease_break, SIGIO);

	if (r < 0)
		return reason_set_error(reason, r, "handling SIGIO");
	r = start_watch(intake, reason);
	if (r == 0)
		r = start_probe(intake, config, reason);
	if (r == 0)
		r = start_link(intake, config->socket_dir, reason);
	if (r == 0)
		r = start_jobs(intake, config, reason);
	if (r == 0)
		r = start_spools(intake, config, reason);
	if (r < 0)
		return r;
	intake->look.jobs = intake->jobs;
	intake->look.spools = intake->spools;
	intake->turn = (struct turn){.link = intake->link,
			.jobs = intake->jobs,
			.spools = intake->spools,
			.n_spools = intake->n_spools};
	return 0;
}

int intake_start(
		const struct intake_setup *setup, struct reason *reason, struct intake **ret_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return -ENOMEM;
	intake->loop = setup->loop;
	intake->clock = intake->look.clock = setup->clock;
	intake->reported = seen_new(REMEMBERED);
	intake->look.parked = seen_new(REMEMBERED);
	int r = -ENOMEM;
	if (!intake->reported || !intake->look.parked)
		goto fail;
	start_handles(intake, setup->config->rescan_us);
	r = start_parts(intake, setup->config, reason);
	if (r < 0)
		goto fail;
	intake->stopped = setup->stopped;
	intake->context = setup->context;
	intake_wake(intake);
	*ret_intake = intake;
	return 0;
fail:
	intake_shut_down(intake);
	/* The handles are closed by the loop, and lie in memory that is freed next. */
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
	for (size_t i = 0; i < intake->n_spools; i++)
		spool_free(&intake->spools[i]);
	free(intake->spools);
	seen_free(intake->reported);
	seen_free(intake->look.parked);
	free(intake);
	return NULL;
}
