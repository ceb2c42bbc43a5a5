#include "daemon/intake/work/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/intake/work/share.h"

struct jobs {
	struct jobs_setup setup;
	struct job_tools tools;
	size_t running, n_slots;
	uint32_t last_id;     /* never used twice: an old answer cannot reach a new job */
	struct share *shares; /* one for each spool */
	struct job **slots;   /* NULL: free */
};

static void jobs_bury(void *owner, struct job *job);
static void jobs_remove(void *owner, struct job *job);

size_t jobs_slots(size_t max, size_t n_spools)
{
	/* share_may_begin() says what may be active. */
	return 2 * max + n_spools + n_spools * share_before_max(n_spools);
}

int jobs_new(const struct jobs_setup *setup, struct jobs **ret_jobs)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return -ENOMEM;
	jobs->setup = *setup;
	jobs->tools = (struct job_tools){.sealers = setup->sealers,
			.clock = setup->clock,
			.link = setup->link,
			.remove = jobs_remove,
			.ended = jobs_bury,
			.owner = jobs};
	jobs->n_slots = jobs_slots(setup->max, setup->n_spools);
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

size_t jobs_room(const struct jobs *jobs, size_t spool)
{
	size_t n = jobs->setup.n_spools;

	if (!share_has_room(jobs->shares, n, spool))
		return 0;
	/* A slow spool gets one at a time when there are many. */
	return jobs->shares[spool].slow > 0 && n > PROBE_JOBS_MAX
			       ? 1
			       : share_before_max(n) - jobs->shares[spool].before;
}

bool jobs_room_for_large(const struct jobs *jobs, size_t spool)
{
	return share_may_be_large(jobs->shares, jobs->setup.n_spools, spool, jobs->setup.max);
}

static bool job_is_large(const struct job *job)
{
	return job->source.identity.size >= JOBS_LARGE_BYTES;
}

static struct share *job_share(const struct job *job)
{
	const struct jobs *jobs = job->tools->owner;

	return &jobs->shares[job->order.candidate->spool];
}

/* ---- Whose turn it is ---- */

static bool job_may_begin(const struct jobs *jobs, const struct job *job)
{
	return !job->over && job->state == JOB_PROBED &&
	       share_may_begin(jobs->shares, jobs->setup.n_spools, job->order.candidate->spool,
			       jobs->setup.max);
}

/* The job that has waited longest of the spool that has the least in progress. With more spools
 * than one, none may take every slot. */
static struct job *jobs_next_to_begin(const struct jobs *jobs)
{
	struct job *next = NULL;

	for (size_t i = 0; i < jobs->n_slots; i++) {
		struct job *job = jobs->slots[i];
		if (!job || !job_may_begin(jobs, job))
			continue;
		if (!next || job_share(job)->active < job_share(next)->active ||
				(job_share(job)->active == job_share(next)->active &&
						job->id < next->id))
			next = job;
	}
	return next;
}

static void jobs_let_begin(struct jobs *jobs)
{
	struct job *job;

	while ((job = jobs_next_to_begin(jobs))) {
		job_share(job)->before--;
		job_share(job)->active++;
		job_begin(job);
	}
}

void jobs_set_hung(struct jobs *jobs, size_t spool, bool hung)
{
	jobs->shares[spool].hung = hung;
	jobs_let_begin(jobs);
}

/* ---- The end of every job ---- */

static void jobs_forget(struct jobs *jobs, const struct job *job)
{
	for (size_t i = 0; i < jobs->n_slots; i++) {
		if (jobs->slots[i] == job)
			jobs->slots[i] = NULL;
	}
	jobs->running--;
	job_share(job)->large -= job_is_large(job);
	if (job_is_before_keeper(job))
		job_share(job)->before--;
	else
		job_share(job)->active--;
}

/* First out of the books: the callback may start other jobs. */
static void jobs_bury(void *owner, struct job *job)
{
	struct jobs *jobs = owner;

	jobs_forget(jobs, job);
	jobs_let_begin(jobs);
	jobs->setup.ended(jobs->setup.context, job);
}

static void jobs_remove(void *owner, struct job *job)
{
	const struct jobs *jobs = owner;

	jobs->setup.remove(jobs->setup.context, job);
}

void jobs_removed(struct job *job)
{
	job_removed(job);
}

/* ---- The beginning ---- */

static void jobs_probed(void *context, const struct probe_result *result)
{
	struct job *job = context;
	struct jobs *jobs = job->tools->owner;
	struct share *share = job_share(job);
	bool slow = monotonic_us() - job->probed_since_us >= jobs->setup.slow_us;

	job->busy = false;
	share->probing--;
	share->slow = slow ? share->slow + 1 : 0;
	/* It was given up while the probe was reading, and could not be freed then. */
	if (job->over) {
		jobs_bury(jobs, job);
		return;
	}
	job->state = JOB_PROBED;
	job->probe = *result;
	jobs_let_begin(jobs);
}

static int jobs_ask_probe(struct jobs *jobs, struct job *job)
{
	struct share *share = job_share(job);

	/* To know the format of a file is not worth hours in plaintext. */
	if (share_skips_probe(share)) {
		job->state = JOB_PROBED;
		probe_wire_set_unprobed(
				&job->probe, "not probed: the files before it held the probe up");
		return 0;
	}
	job->state = JOB_PROBING;
	job->probed_since_us = monotonic_us();
	int r = probe_client_submit(jobs->setup.probe, job->source.fd, jobs_probed, job);
	if (r == 0) {
		job->busy = true;
		share->probing++;
	}
	return r;
}

int jobs_start(struct jobs *jobs, struct job *job)
{
	size_t slot = 0, spool = job->order.candidate->spool;

	while (slot < jobs->n_slots && jobs->slots[slot])
		slot++;
	if (slot == jobs->n_slots || jobs_room(jobs, spool) == 0)
		return -EBUSY;
	if (job_is_large(job) && !jobs_room_for_large(jobs, spool))
		return JOBS_LARGE;
	job->tools = &jobs->tools;
	job->id = ++jobs->last_id;
	int r = jobs_ask_probe(jobs, job);
	if (r < 0)
		return r;
	jobs->slots[slot] = job;
	jobs->running++;
	job_share(job)->large += job_is_large(job);
	job_share(job)->before++;
	jobs_let_begin(jobs);
	return 0;
}

/* ---- The keeper's answers ---- */

static struct job *jobs_find(const struct jobs *jobs, json_int_t id)
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
	struct job *job = jobs_find(jobs, json_integer_value(id));
	/* Our abort and this answer have crossed. */
	if (!job || job->over)
		return 0;
	return job_receive(job, op, message, fds);
}

/* ---- All jobs at once ---- */

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
		if (jobs->slots[i])
			job_yield(jobs->slots[i]);
	}
}

void jobs_wind_down(struct jobs *jobs, bool all)
{
	for (size_t i = 0; i < jobs->n_slots; i++) {
		struct job *job = jobs->slots[i];
		if (!job || (!all && job->state >= JOB_SEALING))
			continue;
		/* The stopped probe client has forgotten the job, and will not clear this. */
		if (job->state == JOB_PROBING && job->busy) {
			job->busy = false;
			job_share(job)->probing--;
		}
		if (!job->over)
			job_abort(job, JOB_LOST);
		else if (!job->busy)
			jobs_bury(jobs, job);
	}
}
