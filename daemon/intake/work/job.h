/* One recording in progress, from its claimed source to the end of its plaintext.
 *
 *     NEW -> PROBING -> PROBED -> BEGINNING -> SEALING -> COMMITTING -> REMOVING -> ended
 *
 *     state       what exists                                lost power, or died, in it
 *     NEW         plaintext                                  found again by the scan
 *     PROBING     the same                                   the same
 *     PROBED      the same                                   the same
 *     BEGINNING   plaintext, perhaps an unnamed object       the same; the object has no name
 *     SEALING     plaintext, part of an unnamed object       the same
 *     COMMITTING  plaintext, perhaps a committed object      sealed again, `already`, unlinked
 *     REMOVING    plaintext or plaintext aside (aside.h), committed object    the same
 *     ended       committed object
 *
 *     transition              by
 *     NEW to PROBING          jobs_start()
 *     PROBING to PROBED       jobs.c, with the probe's answer or without asking it
 *     PROBED to BEGINNING     job_begin(), when it is this job's turn (jobs.c)
 *     BEGINNING to SEALING    job_receive() of `begun`: a thread of sealers.h seals
 *     SEALING to COMMITTING   the end of that thread
 *     COMMITTING to REMOVING  job_receive() of `committed`
 *     COMMITTING to REMOVING  job_receive() of `already`: sealed before, and never unlinked
 *     REMOVING to ended       job_removed(), when the spool's thread has called job_remove()
 *     any to ended            job_finish(), job_abort()
 *
 * Invariants:
 *
 *   1. The plaintext of a recording that was to be sealed is unlinked by one function,
 *      job_remove(), and only after this job has sealed it, and the keeper has said of the object
 *      that it is catalogued (`committed`) or that it holds what is catalogued (`already`).
 *      source_unlink() has two other callers: sidecar_remove(), called from job_remove() once the
 *      recording is gone, and look.c for a recording that its bridge has discarded and that the
 *      operator wants removed unsealed (Discarded=delete).
 *   2. While `busy` is set, the probe or another thread holds a pointer to the job: it may end
 *      (`over`), but its memory and descriptors stay until `busy` is cleared.
 *   3. tools->ended() is called exactly once for each job, by whichever comes last of the two.
 *   4. The lease on the source is held until the job ends, or until somebody wants to write.
 *   5. Nothing here that may hang with the filesystem of the spool runs on the loop: the source is
 *      opened, removed and closed in the spool's own thread (lane.h), and read in one of sealers.h.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/reason.h"
#include "base/socket.h"
#include "base/ulid.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/intake/peers/keeper_link.h"
#include "daemon/intake/source/source.h"
#include "daemon/intake/work/job_grant.h"
#include "daemon/intake/work/order.h"
#include "daemon/intake/work/seal.h"
#include "daemon/intake/work/sealers.h"

enum job_state {
	JOB_NEW, /* claimed, and known to nobody yet */
	JOB_PROBING,
	JOB_PROBED, /* waits for its turn */
	JOB_BEGINNING,
	JOB_SEALING,
	JOB_COMMITTING,
	JOB_REMOVING, /* in the spool's thread */
};

/* How an error at it begins, also when the look finds it before another attempt. */
#define JOB_REMOVAL "removing the sealed recording"

enum job_end {
	JOB_DONE,     /* sealed, and the plaintext is gone */
	JOB_CHANGED,  /* the file was touched meanwhile: it is a new candidate */
	JOB_LOST,     /* given up for no fault of the file */
	JOB_FAILED,   /* to be tried again later */
	JOB_REFUSED,  /* the keeper does not want the file as it is */
	JOB_DEFERRED, /* not begun: no slot is free for a file of its size */
};

struct job;

/* What all jobs share. */
struct job_tools {
	struct sealers *sealers;
	const struct clock *clock;
	struct keeper_link *link;
	/* Has the spool's thread call job_remove(), and the loop job_removed() after it. */
	void (*remove)(void *owner, struct job *job);
	/* The job has ended, and nobody else holds it: the owner takes it out of its books. */
	void (*ended)(void *owner, struct job *job);
	void *owner;
};

struct job {
	const struct job_tools *tools; /* borrowed */
	uint32_t id;
	enum job_state state;
	struct job_order order;
	struct source source;
	struct probe_result probe;
	struct job_grant grant;
	struct seal seal;
	struct sealer_task task;
	STAILQ_ENTRY(job) errand; /* on the way between the loop and the spool's thread */
	int sealed;               /* seal_run()'s result */
	int removed;              /* source_unlink()'s result */
	bool sidecars_sealed;     /* the keeper has these very sidecars */
	bool settled;             /* the keeper has its content: only the removal is left */
	char already[ULID_TEXT_CHARS + 1]; /* the recording that has it, by `already`; or "" */
	bool busy;                         /* the probe or a thread still holds this job */
	bool over;                         /* ended, perhaps still busy */
	enum job_end end;
	int64_t probed_since_us; /* monotonic */

	/* With JOB_FAILED and JOB_REFUSED: why, and whether other files would fail as well. */
	struct reason reason;
	bool general;
};

STAILQ_HEAD(job_list, job);

/* A new job, which takes the claimed source and the order's bundle over: both are left empty. NULL
 * when out of memory, and then nothing is taken. */
struct job *job_new(struct job_order *order, struct source *source);

/* Closes and frees all the job holds, and its memory. In the spool's thread, since to close a file
 * may hang. Takes NULL; returns NULL. */
struct job *job_free(struct job *job);

/* Whether the keeper does not know of the job yet. */
bool job_is_before_keeper(const struct job *job);

/* REMOVING: the end of the plaintext. In the spool's thread. Only called when the keeper has said
 * that what this job has sealed is durable and verified. */
void job_remove(struct job *job);

/* After job_remove(), on the loop: the job has ended, and may be gone on return. */
void job_removed(struct job *job);

/* PROBED to BEGINNING: asks the keeper for an object. */
void job_begin(struct job *job);

/* An answer of the keeper, for a job that is not over. Descriptors that are taken become -1. 0,
 * -RE_PROTOCOL, -errno. The job may have ended, and be gone, on return. */
int job_receive(struct job *job, const char *op, const json_t *message, struct socket_fds *fds);

/* Ends the job; may be called again. The job may be gone on return. */
void job_finish(struct job *job, enum job_end end);

/* The same, and has the keeper forget the object. */
void job_abort(struct job *job, enum job_end end);

/* Gives the file up if somebody wants to write to it. The job may be gone on return. */
void job_yield(struct job *job);
