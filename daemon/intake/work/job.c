#include "daemon/intake/work/job.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "base/text.h"
#include "daemon/intake/source/aside.h"
#include "daemon/intake/work/job_message.h"
#include "daemon/intake/work/seal.h"
#include "daemon/intake/work/share.h"

enum job_state {
	JOB_PROBING,
	JOB_PROBED, /* waits for its turn */
	JOB_BEGINNING,
	JOB_SEALING,
	JOB_COMMITTING,
};

struct job {
	struct jobs *jobs;
	uint32_t id;
	enum job_state state;
	struct job_order order;
	struct source source;
	struct probe_result probe;
	struct job_grant grant;
	struct seal seal;
	uv_work_t work;
	int sealed;           /* seal_run()'s result */
	bool sidecars_sealed; /* the keeper has these very sidecars */
	bool busy;            /* the probe or a thread still holds this job */
	bool over;            /* ended, but busy */
	enum job_end end;
	int64_t probed_since_us; /* monotonic */
	bool general;
	char why[160];
};

struct jobs {
	struct jobs_setup setup;
	size_t running, active, large, n_slots;
	uint32_t last_id;     /* never used twice: an old answer cannot meet a new job */
	struct share *shares; /* one for each spool */
	struct job **slots;
};

size_t jobs_places(size_t max, size_t n_spools)
{
	return max + n_spools * share_before_max(n_spools);
}

int jobs_new(const struct jobs_setup *setup, struct jobs **ret_jobs)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return -ENOMEM;
	jobs->setup = *setup;
	jobs->n_slots = jobs_places(setup->max, setup->n_spools);
	jobs->slots = calloc(jobs->n_slots, sizeof(jobs->slots[0]));
	jobs->shares = calloc(setup->n_spools + 1, sizeof(jobs->shares[0]));
	if (!jobs->slots || !jobs->shares) {
		jobs_free(jobs);
		return -ENOMEM;
	}
	*ret_jobs = jobs;
	return 0;
}

struct jobs *jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return NULL;
	free(jobs->slots);
	free(jobs->shares);
	free(jobs);
	return NULL;
}

size_t jobs_running(const struct jobs *jobs)
{
	return jobs->running;
}

size_t jobs_of(const struct jobs *jobs, size_t spool)
{
	return jobs->shares[spool].before + jobs->shares[spool].active;
}

bool jobs_room(const struct jobs *jobs, size_t spool)
{
	return share_has_room(jobs->shares, jobs->setup.n_spools, spool);
}

bool jobs_room_for_size(const struct jobs *jobs, uint64_t bytes)
{
	return bytes < JOBS_LARGE_BYTES || jobs->large < share_large_max(jobs->setup.max);
}

static bool is_large(const struct job *job)
{
	return job->source.identity.size >= JOBS_LARGE_BYTES;
}

static struct share *share_of(const struct job *job)
{
	return &job->jobs->shares[job->order.candidate->spool];
}

/* What is before its turn has nothing to do with the keeper yet. */
static bool is_before(const struct job *job)
{
	return job->state <= JOB_PROBED;
}

/* Frees the job's place and all it holds but its memory. */
static void job_release(struct job *job)
{
	struct jobs *jobs = job->jobs;

	for (size_t i = 0; i < jobs->n_slots; i++) {
		if (jobs->slots[i] == job)
			jobs->slots[i] = NULL;
	}
	jobs->running--;
	jobs->large -= is_large(job);
	if (is_before(job)) {
		share_of(job)->before--;
	} else {
		share_of(job)->active--;
		jobs->active--;
	}
	job_grant_release(&job->grant);
	source_close(&job->source);
	job->order.bundle = bundle_free(job->order.bundle);
}

static void let_begin(struct jobs *jobs);

/* The end of every job: tells of it, once nobody else holds the job any more. */
static void job_bury(struct job *job)
{
	const struct jobs_setup *setup = &job->jobs->setup;
	const struct job_outcome outcome = {
			.candidate = job->order.candidate,
			.end = job->end,
			.why = job->why,
			.general = job->general,
			.inode = job->source.identity.inode,
			.hash = job->order.hash,
	};

	job_release(job);
	let_begin(job->jobs);
	setup->ended(setup->context, &outcome);
	free(job);
}

static void job_finish(struct job *job, enum job_end end)
{
	if (job->over)
		return;
	job->over = true;
	job->end = end;
	source_release(&job->source);
	if (job->busy)
		atomic_store(&job->seal.cancelled, true);
	else
		job_bury(job);
}

/* Gives the job up; the keeper forgets the object. */
static void job_abort(struct job *job, enum job_end end)
{
	if (!job->over && !is_before(job))
		keeper_link_send(job->jobs->setup.link, job_message_simple("abort", job->id));
	job_finish(job, end);
}

__attribute__((format(printf, 2, 3))) static void job_fail(struct job *job, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(job->why, sizeof(job->why), format, args);
	va_end(args);
	job_abort(job, JOB_FAILED);
}

/* ---- The plaintext's end ---- */

/* Only called when the keeper has said that this very file, by its hash, is durable and verified.
 */
static void job_unlink(struct job *job)
{
	struct jobs *jobs = job->jobs;
	int r = source_unlink(&job->source);

	if (r < 0) {
		snprintf(job->why, sizeof(job->why), "removing the sealed recording: %s",
				error_text(r));
		job_finish(job, JOB_FAILED);
		return;
	}
	if (r == SOURCE_CHANGED) {
		job_finish(job, JOB_CHANGED);
		return;
	}
	char buf[PATH_MAX];
	/* Last: until now they may be what says whose the recording is, and that it is finished. */
	if (job->order.bundle && job->sidecars_sealed)
		bundle_remove_sidecars(job->order.bundle, job->source.parent_fd, job->order.profile,
				aside_path(job->order.candidate->path, buf));
	int64_t exposure_us = clock_now_us(jobs->setup.clock) - job->order.finished_us;
	keeper_link_send(jobs->setup.link,
			job_message_unlinked(job->id, exposure_us > 0 ? exposure_us : 0));
	job_finish(job, JOB_DONE);
}

/* ---- Sealing ---- */

static void seal_in_thread(uv_work_t *work)
{
	struct job *job = work->data;

	job->sealed = seal_run(&job->seal);
}

static void seal_ended(uv_work_t *work, int status)
{
	struct job *job = work->data;

	job->busy = false;
	/* The job holds its place until the commit reply, but neither the key nor the object. */
	job_grant_release(&job->grant);
	if (job->over) {
		job_bury(job);
		return;
	}
	if (status < 0 || job->sealed == SEAL_CANCELLED || job->sealed == SEAL_CHANGED) {
		job_abort(job, job->sealed == SEAL_CHANGED ? JOB_CHANGED : JOB_LOST);
		return;
	}
	if (job->sealed < 0) {
		job->general = !seal_failed_at_source(&job->seal);
		job_fail(job, "%s: %s", job->seal.doing, error_text(job->sealed));
		return;
	}
	job->state = JOB_COMMITTING;
	keeper_link_send(job->jobs->setup.link, job_message_simple("commit", job->id));
}

static int job_begun(struct job *job, const json_t *message, struct socket_fds *fds)
{
	if (job->state != JOB_BEGINNING)
		return -RE_PROTOCOL;
	int r = job_message_grant(message, fds, &job->grant);
	if (r < 0)
		return r;
	job->seal.source_fd = job->source.fd;
	job->seal.identity = &job->source.identity;
	job->seal.object_fd = job->grant.object_fd;
	job->seal.key_fd = job->grant.key_fd;
	job->seal.header = job->grant.header;
	job->seal.header_len = job->grant.header_len;
	memcpy(job->seal.nonce, job->grant.nonce, sizeof(job->seal.nonce));
	job->work.data = job;
	r = uv_queue_work(job->jobs->setup.loop, &job->work, seal_in_thread, seal_ended);
	if (r < 0)
		return r;
	job->state = JOB_SEALING;
	job->busy = true;
	return 0;
}

/* ---- The keeper's answers ---- */

static int job_failed(struct job *job, const json_t *message)
{
	const json_t *error = json_object_get(message, "error");
	const json_t *retry = json_object_get(message, "retry");

	if (job->state != JOB_BEGINNING && job->state != JOB_COMMITTING)
		return -RE_PROTOCOL;
	if (!json_is_string(error) || !json_is_boolean(retry))
		return -RE_PROTOCOL;
	_cleanup_free_ char *text =
			text_printable(json_string_value(error), json_string_length(error));
	snprintf(job->why, sizeof(job->why), "keeper: %s", text ? text : "out of memory");
	job->general = true;
	job_finish(job, json_is_true(retry) ? JOB_FAILED : JOB_REFUSED);
	return 0;
}

static int job_settled(struct job *job, const json_t *message, enum job_state expected)
{
	const char *recording = json_string_value(json_object_get(message, "recording"));
	uint8_t id[ULID_BYTES];

	if (job->state != expected || !recording || ulid_parse(recording, id) < 0)
		return -RE_PROTOCOL;
	/* `already` may be about a state of the sidecars from before. */
	job->sidecars_sealed = expected == JOB_COMMITTING ||
			       json_is_true(json_object_get(message, "sidecars"));
	job_unlink(job);
	return 0;
}

static struct job *find_job(const struct jobs *jobs, json_int_t id)
{
	for (size_t i = 0; i < jobs->n_slots; i++) {
		if (jobs->slots[i] && jobs->slots[i]->id == id)
			return jobs->slots[i];
	}
	return NULL;
}

int jobs_message(struct jobs *jobs, json_t *message, struct socket_fds *fds)
{
	const char *op = json_string_value(json_object_get(message, "op"));
	const json_t *id = json_object_get(message, "job");

	if (!json_is_integer(id) || json_integer_value(id) <= 0 ||
			json_integer_value(id) > jobs->last_id)
		return -RE_PROTOCOL;
	struct job *job = find_job(jobs, json_integer_value(id));
	if (!job || job->over) /* our abort and this answer met on the way */
		return 0;
	if (strcmp(op, "begun") == 0)
		return job_begun(job, message, fds);
	if (strcmp(op, "failed") == 0)
		return job_failed(job, message);
	if (strcmp(op, "committed") == 0)
		return job_settled(job, message, JOB_COMMITTING);
	if (strcmp(op, "already") == 0)
		return job_settled(job, message, JOB_BEGINNING);
	return -RE_PROTOCOL;
}

/* ---- The probe, and whose turn it is ---- */

/* The one that has waited longest of the spool that has the least in progress. With more spools
 * than one, none may take every place. */
static struct job *next_to_begin(const struct jobs *jobs)
{
	size_t active_max = share_active_max(jobs->setup.max, jobs->setup.n_spools);
	struct job *next = NULL;

	for (size_t i = 0; i < jobs->n_slots; i++) {
		struct job *job = jobs->slots[i];
		if (!job || job->over || job->state != JOB_PROBED ||
				share_of(job)->active >= active_max)
			continue;
		if (!next || share_of(job)->active < share_of(next)->active ||
				(share_of(job)->active == share_of(next)->active &&
						job->id < next->id))
			next = job;
	}
	return next;
}

static void let_begin(struct jobs *jobs)
{
	struct job *job;

	while (jobs->active < jobs->setup.max && (job = next_to_begin(jobs))) {
		job->state = JOB_BEGINNING;
		share_of(job)->before--;
		share_of(job)->active++;
		jobs->active++;
		keeper_link_send(jobs->setup.link,
				job_message_begin(job->id, &job->order, job->source.identity.size,
						&job->probe));
	}
}

static void probed(void *context, const struct probe_result *result)
{
	struct job *job = context;
	struct share *share = share_of(job);
	bool slow = monotonic_us() - job->probed_since_us >= job->jobs->setup.slow_us;

	job->busy = false;
	share->probing--;
	share->slow = slow ? share->slow + 1 : 0;
	if (job->over) {
		job_bury(job);
		return;
	}
	job->state = JOB_PROBED;
	job->probe = *result;
	let_begin(job->jobs);
}

static int ask_probe(struct job *job, int fd)
{
	struct share *share = share_of(job);

	if (share_skips_probe(share)) {
		job->state = JOB_PROBED;
		probe_wire_set_unprobed(
				&job->probe, "not probed: the files before it held the probe up");
		return 0;
	}
	job->probed_since_us = monotonic_us();
	int r = probe_client_submit(job->jobs->setup.probe, fd, probed, job);
	if (r == 0) {
		job->busy = true;
		share->probing++;
	}
	return r;
}

int jobs_start(struct jobs *jobs, struct job_order *order, struct source *source)
{
	size_t slot = 0;

	while (slot < jobs->n_slots && jobs->slots[slot])
		slot++;
	if (slot == jobs->n_slots || !jobs_room(jobs, order->candidate->spool))
		return -EBUSY;
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->jobs = jobs;
	job->id = ++jobs->last_id;
	job->order = *order;
	job->grant = (struct job_grant){.object_fd = -1, .key_fd = -1};
	int r = ask_probe(job, source->fd);
	if (r < 0) {
		free(job);
		return r;
	}
	job->source = *source;
	*source = (struct source)SOURCE_NONE;
	order->bundle = NULL;
	jobs->slots[slot] = job;
	jobs->running++;
	jobs->large += is_large(job);
	share_of(job)->before++;
	let_begin(jobs);
	return 0;
}

/* ---- Everybody at once ---- */

void jobs_lost(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->n_slots; i++) {
		if (jobs->slots[i])
			job_finish(jobs->slots[i], JOB_LOST);
	}
}

void jobs_yield(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->n_slots; i++) {
		struct job *job = jobs->slots[i];
		if (!job || job->over || !source_wanted(&job->source))
			continue;
		if (job->state == JOB_COMMITTING) {
			/* Too late to abort: the answer will find the lease gone. */
			source_yield(&job->source);
		} else {
			job_abort(job, JOB_CHANGED);
		}
	}
}

void jobs_wind_down(struct jobs *jobs, bool all)
{
	for (size_t i = 0; i < jobs->n_slots; i++) {
		struct job *job = jobs->slots[i];
		if (!job || (!all && job->state >= JOB_SEALING))
			continue;
		if (job->state == JOB_PROBING && job->busy) {
			job->busy = false;
			share_of(job)->probing--;
		}
		if (!job->over)
			job_abort(job, JOB_LOST);
		else if (!job->busy)
			job_bury(job);
	}
}
