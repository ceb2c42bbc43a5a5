/* All recordings in progress (job.h is one of them), and whose turn it is.
 *
 * No spool keeps another one waiting. Each may have a few files before the probe, beside the files
 * that are being sealed; a spool whose files take the probe long, one after the other, has its next
 * ones sealed without being probed. Of the files that the probe is done with, the next to be sealed
 * is one of the spool that has the least in progress. A few slots are kept for large files, so that
 * small ones do not wait for them; only large files use these slots, so that small ones do not keep
 * them waiting either. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/clock.h"
#include "base/reason.h"
#include "base/socket.h"
#include "daemon/intake/peers/keeper_link.h"
#include "daemon/intake/peers/probe_client.h"
#include "daemon/intake/work/job.h"

struct job_outcome {
	struct candidate *candidate;
	enum job_end end;
	const struct reason *reason; /* with JOB_FAILED and JOB_REFUSED */
	bool general; /* with JOB_FAILED: not this file's fault, other files would fail as well */
	struct source_identity identity; /* of the file */
	bool settled;        /* the keeper has what was in the file; JOB_FAILED: but it is there */
	const char *already; /* the recording it was sealed as before; NULL: sealed now, or not */
};

struct jobs_setup {
	uv_loop_t *loop;
	const struct clock *clock;
	struct keeper_link *link;
	struct probe_client *probe;
	size_t max; /* in progress at once, not counting jobs before the probe */
	size_t n_spools;
	int64_t slow_us; /* a probe that took so long is a sign of more to come */
	/* A job has ended; the outcome is valid during the call. May be called from within any
	 * function below except jobs_start(). */
	void (*ended)(void *context, const struct job_outcome *outcome);
	void *context;
};

struct jobs;

/* -ENOMEM. */
int jobs_new(const struct jobs_setup *setup, struct jobs **ret_jobs);

/* None may be in progress. Takes NULL; returns NULL. */
struct jobs *jobs_free(struct jobs *jobs);

size_t jobs_running(const struct jobs *jobs);

/* How many jobs of this spool there are, and whether it may have one more. */
size_t jobs_of(const struct jobs *jobs, size_t spool);
bool jobs_room(const struct jobs *jobs, size_t spool);

/* Whether a file of this size may be started now. */
#define JOBS_LARGE_BYTES (UINT64_C(64) << 20)
bool jobs_room_for_size(const struct jobs *jobs, uint64_t bytes);

/* How many jobs there can be in all. */
size_t jobs_slots(size_t max, size_t n_spools);

/* Starts a job on a claimed source, which becomes the job's on success, with the order's bundle.
 * -EBUSY without room; -ENOMEM, -errno. */
int jobs_start(struct jobs *jobs, struct job_order *order, struct source *source);

/* A message of the keeper. Descriptors that are taken become -1. 0 (also for a job that has ended
 * already), -RE_PROTOCOL, -errno. */
int jobs_message(struct jobs *jobs, json_t *message, struct socket_fds *fds);

/* The connection to the keeper is lost: every job ends with JOB_LOST, at the latest when its thread
 * has noticed. */
void jobs_lost(struct jobs *jobs);

/* SIGIO: lets go of every file that somebody wants to write to. */
void jobs_yield(struct jobs *jobs);

/* Stopping: gives up the jobs that are not being sealed yet; with `all`, every job. The probe
 * client must have been stopped before: it never answers again. */
void jobs_wind_down(struct jobs *jobs, bool all);
