/* A world with a true time, in which a vault's clock lives: machines that are off, boot under any clock, are
 * paused by their host, are synchronised after a while or never; and recordings, whose true due time the
 * world knows. It holds the vault to two sentences: nothing is destroyed before it is due by the true time; and
 * once the time is known, nothing lives longer than a day past it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Faults of the guard that the world must notice: the negative control. */
enum clock_mutant {
	MUTANT_NONE,
	MUTANT_BELIEVES_WALL,    /* every clock passes for synchronised */
	MUTANT_COUNTS_WITH_WALL, /* the count goes on with the wall clock */
	MUTANT_NEVER_PUTS_RIGHT, /* what is sealed at an unknown time passes for known */
	MUTANT_NEVER_LEARNS,     /* no clock is ever known to be right */
	MUTANT_STANDS_STILL,     /* the count does not go on while the keeper is down */
	MUTANTS,
};

enum clock_verdict {
	VERDICT_GOOD,
	VERDICT_EARLY, /* something was destroyed before it was due */
	VERDICT_LATE,
};

struct clock_figures {
	long sealed, destroyed, boots, retimed;
};

/* One history, from a seed, in a database that may hold others of the past. figures are added to. */
struct db;
enum clock_verdict clock_world_run(struct db *db, uint64_t seed, enum clock_mutant mutant,
		struct clock_figures *figures);
