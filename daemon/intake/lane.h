/* The lane of a spool: a thread with a loop of its own, in which everything runs that touches the
 * spool's files, except the reading of what is being sealed (work/sealers.h). A filesystem that is
 * slow, or never answers, holds up this thread, and nothing else.
 *
 *     the intake's loop                     the spool's thread (lane_thread.c)
 *     -----------------                     ----------------------------------
 *     lane_allow(): room for jobs  ------>  looks at candidates
 *     lane_take(): a new job       <------  a candidate that was claimed
 *     lane_give(): to be removed   ------>  job_remove()
 *     lane_take(): removed         <------
 *     lane_give(): ended           ------>  its files are closed, its candidate goes on
 *     lane_report()                <------  how the spool is
 *     lane_question()              <------  may it be taken from?
 *     lane_answer()                ------>  spool_first_answer()
 *     lane_search()                ------>  looks for plaintext of an account
 *     lane_found()                 <------  what lies there of it
 *
 * Invariants:
 *
 *   1. The spool, its queue and its watch belong to the thread. What the two sides have in common
 *      is in `shared`, under its lock, and is never held during a call that may hang.
 *   2. A job belongs to one side at a time; it goes to the other only through `shared`.
 *   3. The thread hands over at most as many new jobs as it was allowed: both boxes are bounded by
 *      the number of jobs of a spool. */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/common/config/config.h"
#include "daemon/intake/beside/leftovers.h"
#include "daemon/intake/look.h"
#include "daemon/intake/spool/spool.h"

/* A thread that was not heard of for so long hangs: status and journal say so. */
#define LANE_SILENT_US (15 * INT64_C(1000000))

struct lane_setup {
	const struct config *config; /* borrowed */
	size_t index;                /* of the spool in it */
	const struct clock *clock;   /* borrowed; used by the thread */
	struct notice_sink notices;  /* called from the thread */
	/* Something is to be taken, or the thread has ended. From the thread: to wake the loop. */
	void (*posted)(void *context);
	void *context;
};

struct lane {
	struct lane_setup setup;

	/* The thread's own. */
	uv_loop_t loop;
	uv_async_t mail;
	uv_idle_t idle;          /* runs while there is work at hand */
	uv_timer_t due;          /* the next candidate's time */
	uv_timer_t rescan;       /* of the spool */
	uv_timer_t housekeeping; /* root, report */
	struct spool spool;
	struct spool_tools tools;
	struct look look;
	struct leftovers *leftovers; /* a search under way, or NULL */
	size_t under_way;            /* jobs that have not come back */
	unsigned ticks;

	/* The loop's own. */
	uv_thread_t thread;
	bool prepared, running;
	json_t *latest; /* report */
	int64_t latest_us;
	bool silent;  /* was reported to hang */
	bool allowed; /* on this connection the keeper has said that it may be taken from */

	struct {
		pthread_mutex_t lock;
		struct job_list in, out;
		size_t n_new; /* new jobs in `out` */
		size_t room;
		bool large_room, winding_down, stop, ended;
		json_t *report;
		int64_t report_us; /* monotonic: when it was made */
		json_t *question;  /* for the keeper, the last one */
		bool asked;        /* it was sent */
		bool answered, may;
		uint8_t folder[ORIGIN_HASH_BYTES]; /* of the answer */
		struct leftovers_question *search; /* the next one */
		json_t *found;                     /* by the last one */
	} shared;
	_Atomic int64_t heard_us; /* monotonic: when the thread was last seen to get on */
};

/* Starts the thread. On failure the lane is for lane_free() all the same. -errno, -RE_CONFIG. */
int lane_start(struct lane *lane, const struct lane_setup *setup, struct reason *reason);

/* How many jobs the spool may start now, and whether a large one among them. */
void lane_allow(struct lane *lane, size_t room, bool large_room);

/* Hands a job to the thread: in JOB_REMOVING and not over, to be removed; else to be closed and
 * freed, with its candidate going on. */
void lane_give(struct lane *lane, struct job *job);

/* The next job that the thread hands over, JOB_NEW or JOB_REMOVING; NULL when there is none. */
struct job *lane_take(struct lane *lane);

/* The latest report of the thread, borrowed, and when it was made (monotonic; for one that has made
 * none yet: when it was started). NULL when out of memory. */
json_t *lane_report(struct lane *lane, int64_t *ret_made_us);

/* What the thread wants to know from the keeper (spool_first.c), to be sent: its last question, if
 * that was not handed out before; with `again` in any case. NULL: nothing, or no memory. */
json_t *lane_question(struct lane *lane, bool again);

/* The keeper has answered. */
void lane_answer(struct lane *lane, const uint8_t folder[static ORIGIN_HASH_BYTES], bool may);
/* Has the thread look for plaintext of an account, in the place of what it looks for at present;
 * takes the question. */
void lane_search(struct lane *lane, struct leftovers_question *question);

/* What was found (leftovers_report()), the caller's; NULL: the search goes on, or there is none. */
json_t *lane_found(struct lane *lane);

/* How long the thread has not been heard of, if that is longer than LANE_SILENT_US; else 0. */
int64_t lane_silent_us(const struct lane *lane);

/* From now on, failures are the stop's. */
void lane_wind_down(struct lane *lane);

/* Has the thread close everything and end: call when no job of the spool is left on the loop. */
void lane_stop(struct lane *lane);

/* Whether it has ended (or never begun). */
bool lane_ended(struct lane *lane);

/* After the thread has ended. One that hangs keeps its memory, to the end of the process. */
void lane_free(struct lane *lane);

/* ---- The inside (lane_thread.c): what runs in the spool's thread ---- */

/* Prepares loop, watch and spool; still in the caller's thread. -errno, -RE_CONFIG. */
int lane_thread_prepare(struct lane *lane, struct reason *reason);

/* The thread. */
void lane_thread_run(void *lane);

/* Frees what lane_thread_prepare() has made, when the thread has ended, or never begun. */
void lane_thread_free(struct lane *lane);
