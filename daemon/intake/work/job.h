/* Recordings in progress, from a claimed source to its plaintext's end:
 *
 *     PROBING -> PROBED -> BEGINNING -> SEALING -> COMMITTING -> ended
 *
 *     state       what exists                               lost power, or died, in it
 *     PROBING     plaintext                                 found again by the scan
 *     PROBED      the same                                  the same
 *     BEGINNING   plaintext, perhaps an unnamed object      the same; the object has no name
 *     SEALING     plaintext, part of an unnamed object      the same
 *     COMMITTING  plaintext, perhaps a committed object     the same; `already`, then unlinked
 *      (its end)  plaintext aside (aside.h), committed object   the same
 *     ended       committed object
 *
 * The plaintext is unlinked in one place only, and only after `committed` or `already`; but for
 * what a bridge has discarded, where the operator says Discarded=delete (look.c).
 *
 * No spool keeps another one waiting. Each may have a few files before the probe, beside the
 * sealing; where one after the other takes the probe long, the next ones go without. What the probe
 * is done with is sealed for the spool that has the least in progress. Large files have a few
 * places of their own, so that small ones do not wait for them; and these are for nobody else, so
 * that they are not kept waiting by small ones. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/clock.h"
#include "base/socket.h"
#include "daemon/common/config/config.h"
#include "daemon/intake/beside/bundle.h"
#include "daemon/intake/peers/keeper_link.h"
#include "daemon/intake/peers/probe_client.h"
#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/queue.h"

enum job_end {
	JOB_DONE,    /* sealed, and the plaintext is gone */
	JOB_CHANGED, /* the file was touched meanwhile: a new candidate */
	JOB_LOST,    /* given up for no fault of the file */
	JOB_FAILED,  /* try again later */
	JOB_REFUSED, /* the keeper does not want it as it is */
};

struct job_outcome {
	struct candidate *candidate;
	enum job_end end;
	const char *why; /* for JOB_FAILED and JOB_REFUSED, printable */
	bool general;    /* JOB_FAILED: not for this file's sake, others would fail as well */
	uint64_t inode;
	const uint8_t *hash; /* SOURCE_HASH_BYTES: source_hash() */
};

struct jobs_setup {
	uv_loop_t *loop;
	const struct clock *clock;
	struct keeper_link *link;
	struct probe_client *probe;
	size_t max; /* in progress at once, not counting those before the probe */
	size_t n_spools;
	int64_t slow_us; /* what took the probe so long is a sign of more to come */
	/* A job has ended; the outcome is valid during the call. May be called from within any
	 * function below but jobs_start(). */
	void (*ended)(void *context, const struct job_outcome *outcome);
	void *context;
};

/* What is to be sealed. */
struct job_order {
	const struct config_spool *spool;
	const struct profile *profile;
	struct candidate *candidate; /* the caller's, until the job has ended */
	struct bundle *bundle;       /* becomes the job's with the source; NULL: none */
	uint8_t hash[SOURCE_HASH_BYTES];
	int64_t recorded_us, finished_us;
};

struct jobs;

/* -ENOMEM. */
int jobs_new(const struct jobs_setup *setup, struct jobs **ret_jobs);

/* None may be in progress. Takes NULL; returns NULL. */
struct jobs *jobs_free(struct jobs *jobs);

size_t jobs_running(const struct jobs *jobs);

/* How many there are of this spool, and whether it may have one more. */
size_t jobs_of(const struct jobs *jobs, size_t spool);
bool jobs_room(const struct jobs *jobs, size_t spool);

/* Whether a file of this size may be started now. */
#define JOBS_LARGE_BYTES (UINT64_C(64) << 20)
bool jobs_room_for_size(const struct jobs *jobs, uint64_t bytes);

/* How many jobs there can be in all. */
size_t jobs_places(size_t max, size_t n_spools);

/* Starts a job on a claimed source, which becomes the job's on success, with the order's bundle.
 * -EBUSY without room; -errno. */
int jobs_start(struct jobs *jobs, struct job_order *order, struct source *source);

/* A message of the keeper. Descriptors that are taken become -1. 0 (also for a job that has ended
 * already), or -RE_PROTOCOL. */
int jobs_message(struct jobs *jobs, json_t *message, struct socket_fds *fds);

/* The connection to the keeper is lost: all end with JOB_LOST, at the latest when their threads
 * have noticed. */
void jobs_lost(struct jobs *jobs);

/* SIGIO: lets go of every file that somebody wants to write to. */
void jobs_yield(struct jobs *jobs);

/* Stopping: gives up what has not come to sealing; with `all`, everything. The probe client must
 * have been stopped before: it never answers again. */
void jobs_wind_down(struct jobs *jobs, bool all);
