#include "daemon/intake/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config.h"
#include "daemon/common/event.h"
#include "daemon/intake/admission.h"
#include "daemon/intake/descriptors.h"
#include "daemon/intake/lane.h"
#include "daemon/intake/probe_program.h"
#include "daemon/intake/search.h"
#include "daemon/intake/spool/outage.h"
#include "daemon/intake/spool/report.h"

#define HOUSEKEEPING_MS 2000
#define GRACE_MS        5000
#define QUIET_ATTEMPTS  6 /* about three seconds: both daemons may be starting */

struct intake {
	uv_loop_t *loop;
	const struct clock *clock;
	const struct config *config;
	void (*stopped)(void *context);
	void *context;

	struct probe_client *probe;
	struct keeper_link *link;
	struct sealers *sealers;
	struct jobs *jobs;
	struct lane *lanes; /* one for each spool */
	size_t n_lanes;

	uv_async_t mail;         /* a lane has something */
	uv_prepare_t prepare;    /* before the loop waits: what the lanes may do */
	uv_timer_t housekeeping; /* report */
	uv_timer_t grace;        /* of a stop */
	uv_signal_t lease_break;

	struct search search;
	struct outage keeper;
	bool connected, stopping, shut_down, handles_closed;
	_Atomic bool deaf; /* `mail` is closed: a lane that comes back finds nobody */
	unsigned graces;
};

/* ---- The lanes ---- */

static void on_lane_posted(void *context)
{
	struct intake *intake = context;

	if (!atomic_load(&intake->deaf))
		uv_async_send(&intake->mail);
}

/* A job that could not be started goes back to where it came from. */
static void intake_return_job(struct lane *lane, struct job *job, int r)
{
	job->over = true;
	job->end = r == JOBS_LARGE ? JOB_DEFERRED : r == -EBUSY ? JOB_LOST : JOB_FAILED;
	reason_set_error(&job->reason, r < 0 ? r : -EBUSY, "asking the probe");
	job->general = true;
	lane_give(lane, job);
}

static void intake_take_jobs(struct intake *intake, struct lane *lane)
{
	struct job *job;

	while ((job = lane_take(lane))) {
		if (job->state == JOB_REMOVING) {
			jobs_removed(job);
			continue;
		}
		bool ready = !intake->stopping && keeper_link_ready(intake->link);
		int r = ready ? jobs_start(intake->jobs, job) : -EBUSY;
		if (r != 0)
			intake_return_job(lane, job, r);
	}
}

static void intake_close_handles(struct intake *intake);

static void on_intake_mail(uv_async_t *async)
{
	struct intake *intake = async->data;
	bool ended = true;

	for (size_t i = 0; i < intake->n_lanes; i++) {
		intake_take_jobs(intake, &intake->lanes[i]);
		ended &= lane_ended(&intake->lanes[i]);
	}
	if (!intake->stopping)
		admission_ask(intake->lanes, intake->n_lanes, intake->link);
	if (!intake->shut_down)
		search_answer(&intake->search, intake->lanes, intake->n_lanes, intake->link);
	if (intake->shut_down && ended)
		intake_close_handles(intake);
}

/* A recording that was claimed holds a lease, and would hold up its bridge for nothing: none is
 * while the keeper is not there. */
static void on_intake_prepare(uv_prepare_t *prepare)
{
	struct intake *intake = prepare->data;
	bool ready = !intake->stopping && keeper_link_ready(intake->link);

	for (size_t i = 0; i < intake->n_lanes && intake->jobs; i++)
		lane_allow(&intake->lanes[i], ready ? jobs_room(intake->jobs, i) : 0,
				jobs_room_for_large(intake->jobs, i));
}

/* ---- What the parts report ---- */

static void intake_log_notice(void *context, const struct notice *notice)
{
	const struct event_fields fields = {.spool = notice->spool, .recording = notice->recording};

	event_log(notice->priority, notice->event, &fields, "%s", notice->text);
}

/* Of one spool: its own report, and what its thread cannot say of itself. */
static json_t *intake_lane_report(struct intake *intake, size_t i)
{
	struct lane *lane = &intake->lanes[i];
	int64_t made_us, since_us;
	size_t hung = sealers_hung(intake->sealers, i, &since_us);
	json_t *report = json_copy(lane_report(lane, &made_us));

	if (report)
		json_object_set_new(
				report, "looked_ago_us", json_integer(monotonic_us() - made_us));
	if (report && hung > 0)
		json_object_set_new(report, "hung_threads", json_integer((json_int_t)hung));
	return report;
}

static void intake_send_report(struct intake *intake)
{
	json_t *spools = json_array();
	int r = spools ? 0 : -1;

	if (!keeper_link_ready(intake->link)) {
		json_decref(spools);
		return;
	}
	for (size_t i = 0; i < intake->n_lanes; i++)
		r |= json_array_append_new(spools, intake_lane_report(intake, i));
	if (r < 0) {
		json_decref(spools);
		spools = NULL;
	}
	keeper_link_send(intake->link, report_message(spools));
}

static void on_keeper_ready(void *context)
{
	struct intake *intake = context;

	intake->connected = true;
	if (outage_over(&intake->keeper))
		event_log(LOG_NOTICE, EVENT_PLAIN, NULL, "the keeper is there again");
	admission_ask_all(intake->lanes, intake->n_lanes, intake->link);
	intake_send_report(intake);
}

static int on_keeper_message(void *context, json_t *message, struct socket_fds *fds)
{
	struct intake *intake = context;
	const char *op = json_string_value(json_object_get(message, "op"));

	if (op && strcmp(op, "spool") == 0)
		return admission_answer(intake->lanes, intake->n_lanes, message);
	if (search_is_question(message))
		return search_begin(&intake->search, intake->lanes, intake->n_lanes, message);
	return jobs_message(intake->jobs, message, fds);
}

static void on_keeper_lost(void *context, int r, unsigned attempts)
{
	struct intake *intake = context;
	/* A lost connection is reported at once, one that never was only after a while. */
	bool tell = intake->connected || attempts >= QUIET_ATTEMPTS;

	intake->connected = false;
	admission_lost(intake->lanes, intake->n_lanes);
	if (tell && outage_failed(&intake->keeper, monotonic_us()) > 0)
		event_log(LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the keeper cannot be reached (%s): recordings wait in their "
				"spools",
				error_text(r));
	search_end(&intake->search);
	jobs_lost(intake->jobs);
}

/* Tells once when the filesystem of a spool stops to answer, and once when it answers again. */
static void intake_check_lane(struct intake *intake, size_t i)
{
	struct lane *lane = &intake->lanes[i];
	const struct config_spool *config = &intake->config->spools[i];
	const struct event_fields fields = {.spool = config->name};
	int64_t silent_us = lane_silent_us(lane), since_us;
	size_t hung = sealers_hung(intake->sealers, i, &since_us);
	bool silent = silent_us > 0 || hung > 0;

	if (silent == lane->silent)
		return;
	lane->silent = silent;
	jobs_set_hung(intake->jobs, i, silent);
	if (silent)
		event_log(LOG_ERR, EVENT_SPOOL_TROUBLE, &fields,
				"spool %s: the filesystem of %s does not answer (%zu sealing "
				"threads hang in it): nothing is sealed from it until it does; "
				"other spools go on",
				config->name, config->path, hung);
	else
		event_log(LOG_NOTICE, EVENT_PLAIN, &fields,
				"spool %s: its filesystem answers again", config->name);
}

static void on_housekeeping(uv_timer_t *timer)
{
	struct intake *intake = timer->data;

	for (size_t i = 0; i < intake->n_lanes; i++)
		intake_check_lane(intake, i);
	search_answer(&intake->search, intake->lanes, intake->n_lanes, intake->link);
	intake_send_report(intake);
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

/* The last step: every thread has ended, or hangs and is left behind. */
static void intake_close_handles(struct intake *intake)
{
	if (intake->handles_closed)
		return;
	intake->handles_closed = true;
	atomic_store(&intake->deaf, true);
	intake->sealers = sealers_stop(intake->sealers);
	intake_close_handle(&intake->mail);
	intake_close_handle(&intake->grace);
	if (intake->stopped)
		intake->stopped(intake->context);
}

static void intake_shut_down(struct intake *intake)
{
	if (intake->shut_down)
		return;
	intake->stopping = intake->shut_down = true;
	intake->probe = probe_client_stop(intake->probe);
	intake->link = keeper_link_stop(intake->link);
	intake_close_handle(&intake->prepare);
	intake_close_handle(&intake->housekeeping);
	intake_close_handle(&intake->lease_break);
	bool ended = true;
	for (size_t i = 0; i < intake->n_lanes; i++) {
		lane_stop(&intake->lanes[i]);
		ended &= lane_ended(&intake->lanes[i]);
	}
	/* Otherwise the last lane to end closes them. */
	if (ended)
		intake_close_handles(intake);
}

static void on_job_to_remove(void *context, struct job *job)
{
	struct intake *intake = context;

	lane_give(&intake->lanes[job->order.candidate->spool], job);
}

static void on_job_ended(void *context, struct job *job)
{
	struct intake *intake = context;

	lane_give(&intake->lanes[job->order.candidate->spool], job);
	if (intake->stopping && jobs_running(intake->jobs) == 0)
		intake_shut_down(intake);
}

/* The first time jobs are given up; the second time also the threads that hang with their
 * filesystem: they end with the process. */
static void on_grace_over(uv_timer_t *timer)
{
	struct intake *intake = timer->data;

	if (intake->graces++ == 0) {
		jobs_wind_down(intake->jobs, true);
		return;
	}
	event_log(LOG_WARNING, EVENT_PLAIN, NULL,
			"stopping although the filesystem of a spool does not answer");
	intake_shut_down(intake);
	intake_close_handles(intake);
}

void intake_stop(struct intake *intake)
{
	if (intake->stopping)
		return;
	intake->stopping = true;
	for (size_t i = 0; i < intake->n_lanes; i++)
		lane_wind_down(&intake->lanes[i]);
	uv_timer_start(&intake->grace, on_grace_over, GRACE_MS, GRACE_MS);
	/* Before the jobs: jobs_wind_down() relies on it. */
	intake->probe = probe_client_stop(intake->probe);
	jobs_wind_down(intake->jobs, false);
	/* Otherwise the last job to end shuts down. */
	if (jobs_running(intake->jobs) == 0)
		intake_shut_down(intake);
}

/* ---- Starting ---- */

static int start_probe(struct intake *intake, const struct config *config, struct reason *reason)
{
	char buf[PATH_MAX];
	const char *program = config->probe_program ? config->probe_program
						    : probe_program_find(buf, sizeof(buf));
	int r = probe_client_start(intake->loop, program, config->probe_timeout_us, &intake->probe);

	if (r < 0)
		return reason_set_error(reason, r, "starting the probe %s", program);
	probe_client_prepare(intake->probe);
	return 0;
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
			.clock = intake->clock,
			.link = intake->link,
			.probe = intake->probe,
			.sealers = intake->sealers,
			.max = affordable_jobs(config),
			.n_spools = config->n_spools,
			.slow_us = config->probe_timeout_us / 2,
			.remove = on_job_to_remove,
			.ended = on_job_ended,
			.context = intake,
	};
	int r = jobs_new(&setup, &intake->jobs);

	return r < 0 ? reason_set_error(reason, r, "preparing %zu jobs", setup.max) : 0;
}

static int start_lanes(struct intake *intake, const struct config *config, struct reason *reason)
{
	size_t n = config->n_spools;
	struct lane_setup setup = {.config = config,
			.clock = intake->clock,
			.notices = {.post = intake_log_notice, .context = intake},
			.posted = on_lane_posted,
			.context = intake};
	int r = 0;

	intake->lanes = calloc(n ? n : 1, sizeof(*intake->lanes));
	if (!intake->lanes)
		return reason_set_error(reason, -ENOMEM, "preparing %zu spools", n);
	/* Counted one by one: intake_free() frees as many as were made. */
	for (; r == 0 && setup.index < n; setup.index++, intake->n_lanes++)
		r = lane_start(&intake->lanes[setup.index], &setup, reason);
	return r;
}

static void start_handles(struct intake *intake)
{
	uv_async_init(intake->loop, &intake->mail, on_intake_mail);
	uv_prepare_init(intake->loop, &intake->prepare);
	uv_timer_init(intake->loop, &intake->housekeeping);
	uv_timer_init(intake->loop, &intake->grace);
	uv_signal_init(intake->loop, &intake->lease_break);
	intake->mail.data = intake->prepare.data = intake;
	intake->housekeeping.data = intake->grace.data = intake->lease_break.data = intake;
}

/* Each part after the parts that it needs. */
static int start_parts(struct intake *intake, const struct config *config, struct reason *reason)
{
	/* Before the first lease: the default action of SIGIO is to die. */
	int r = uv_signal_start(&intake->lease_break, on_lease_break, SIGIO);

	if (r < 0)
		return reason_set_error(reason, r, "handling SIGIO");
	r = sealers_start(intake->loop, config->n_spools, &intake->sealers);
	if (r < 0)
		return reason_set_error(reason, r, "preparing the threads that seal");
	r = start_probe(intake, config, reason);
	if (r == 0)
		r = start_link(intake, config->socket_dir, reason);
	if (r == 0)
		r = start_jobs(intake, config, reason);
	if (r == 0)
		r = start_lanes(intake, config, reason);
	if (r < 0)
		return r;
	uv_prepare_start(&intake->prepare, on_intake_prepare);
	return uv_timer_start(&intake->housekeeping, on_housekeeping, 0, HOUSEKEEPING_MS);
}

int intake_start(
		const struct intake_setup *setup, struct reason *reason, struct intake **ret_intake)
{
	struct intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return -ENOMEM;
	intake->loop = setup->loop;
	intake->clock = setup->clock;
	intake->config = setup->config;
	start_handles(intake);
	int r = start_parts(intake, setup->config, reason);
	if (r < 0)
		goto fail;
	intake->stopped = setup->stopped;
	intake->context = setup->context;
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
	bool ended = true;
	for (size_t i = 0; i < intake->n_lanes; i++) {
		ended &= lane_ended(&intake->lanes[i]);
		lane_free(&intake->lanes[i]);
	}
	/* A thread that hangs may come back before the process has ended. */
	if (!ended || (intake->jobs && jobs_running(intake->jobs) > 0))
		return NULL;
	search_end(&intake->search);
	jobs_free(intake->jobs);
	free(intake->lanes);
	free(intake);
	return NULL;
}
