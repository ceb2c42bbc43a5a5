/* Whose turn it is among the spools: which candidate is looked at next, and when there is one.
 *
 * The spools take turns, one candidate each, so that a spool with a long queue keeps no other
 * waiting. A spool is passed over while it has no free slot for a job, while its brake is on
 * (brake.h), and all are while the keeper is not connected: a recording that was claimed holds a
 * lease, and would hold up its bridge for nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/intake/peers/keeper_link.h"
#include "daemon/intake/spool/spool.h"
#include "daemon/intake/work/jobs.h"

/* All borrowed. */
struct turn {
	const struct keeper_link *link;
	const struct jobs *jobs;
	struct spool *spools;
	size_t n_spools;
	size_t next; /* the spool whose turn it is */
};

/* The next candidate, taken from its queue; NULL when none may be looked at now. */
struct candidate *turn_take(struct turn *turn, int64_t now_us);

/* When turn_take() has something to give, as far as only time can tell; INT64_MAX when no candidate
 * waits for a time. An event, or the end of a job, may come before. */
int64_t turn_due_us(const struct turn *turn);
