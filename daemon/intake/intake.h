/* The whole intake on a libuv loop: spools in, sealed files out.
 *
 *     intake.c         what happens when: the turn of the loop, events, timers, start and stop
 *     turn.h           which candidate is looked at next
 *     look.h           the look at a candidate, and what follows its job
 *     descriptors.h    how many jobs the open files allow
 *     probe_program.h  where recseal-probe is
 *
 * This is the top floor: it alone writes to the journal (intake_log_notice()), and hands its
 * settings to the floors below as each needs them. */
#pragma once

#include <uv.h>

#include "base/clock.h"
#include "base/reason.h"

struct config;

/* Candidates remembered at once, of all spools together; a spool with more files than its share is
 * walked piece by piece. */
#define INTAKE_QUEUE       16384
#define INTAKE_QUEUE_SHARE 1024 /* of a spool, at least */

struct intake_setup {
	uv_loop_t *loop;
	const struct config *config; /* borrowed, until intake_free() */
	const struct clock *clock;   /* borrowed */
	void (*stopped)(void *context);
	void *context;
};

struct intake;

/* Watches the spools and begins to connect to the keeper; neither needs to be there. The process
 * gets SIGIO when somebody wants to write to a file that is being sealed: the intake handles it.
 * On failure the loop has been run until nothing was left on it. -errno, -RE_CONFIG, with a reason.
 */
int intake_start(const struct intake_setup *setup, struct reason *reason,
		struct intake **ret_intake);

/* Takes no more candidates, lets running seals finish for a short while, then closes every handle
 * and calls `stopped`. May be called twice. */
void intake_stop(struct intake *intake);

/* After the loop has run out. Takes NULL; returns NULL. */
struct intake *intake_free(struct intake *intake);
