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

#include "base/clock.h"
#include "base/reason.h"
#include "base/socket.h"
#include "daemon/intake/peers/keeper_link.h"
#include "daemon/intake/peers/probe_client.h"
#include "daemon/intake/work/job.h"

struct jobs_setup {
	const struct clock *clock;
	struct keeper_link *link;
	struct probe_client *probe;
	struct sealers *sealers;
	size_t max; /* active at once, about (share.h) */
	size_t n_spools;
	int64_t slow_us; /* a probe that took so long is a sign of more to come */
	/* The plaintext is to go: job_remove() in the spool's thread, then jobs_removed(). */
	void (*remove)(void *context, struct job *job);
	/* A job has ended, and is the callee's from now on, for job_free(). May be called from
	 * within any function below except jobs_start(). */
	void (*ended)(void *context, struct job *job);
	void *context;
};

struct jobs;

/* -ENOMEM. */
int jobs_new(const struct jobs_setup *setup, struct jobs **ret_jobs);

/* None may be in progress. Takes NULL; returns NULL. */
struct jobs *jobs_free(struct jobs *jobs);

size_t jobs_running(const struct jobs *jobs);

/* How many more jobs this spool may start now. */
size_t jobs_room(const struct jobs *jobs, size_t spool);

/* Whether this spool may start a large file now. */
#define JOBS_LARGE_BYTES (UINT64_C(64) << 20)
bool jobs_room_for_large(const struct jobs *jobs, size_t spool);

/* The filesystem of a spool has stopped to answer, or answers again: what it has in progress takes
 * nothing from the others. */
void jobs_set_hung(struct jobs *jobs, size_t spool, bool hung);

/* How many jobs there can be in all. */
size_t jobs_slots(size_t max, size_t n_spools);

/* Starts a new job, which belongs to jobs on 0; else it stays the caller's. JOBS_LARGE without room
 * for a file of its size; -EBUSY without any room; -ENOMEM, -errno. */
enum { JOBS_LARGE = 1 };
int jobs_start(struct jobs *jobs, struct job *job);

/* The spool's thread has called job_remove(). */
void jobs_removed(struct job *job);

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
