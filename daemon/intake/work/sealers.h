/* The threads that seal: any thread seals for any spool, and no spool takes the threads that
 * another one needs.
 *
 *     given --sealers_give--> waiting --a thread takes it--> running --ends--> done(), on the loop
 *
 * Invariants:
 *
 *   1. SEALERS_THREADS tasks run at once. With several spools, none has all of these threads.
 *   2. A spool that has no thread, and whose task has waited for SEALERS_STARVED_US, gets a thread
 *      of its own besides: at most one for each spool.
 *   3. A thread that has made no progress for SEALERS_HUNG_US hangs. Another one takes its place,
 *      for at most SEALERS_THREADS of them: no more threads are ever made than
 *      2 * SEALERS_THREADS + one for each spool.
 *   4. The order within a spool is the order of sealers_give(); among spools, the one with the
 *      fewest threads comes first. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#define SEALERS_THREADS    8 /* more than processors: sealing waits for disks more than for them */
#define SEALERS_STARVED_US INT64_C(500000)
#define SEALERS_HUNG_US    (30 * INT64_C(1000000))

/* The caller fills in the first four. */
struct sealer_task {
	size_t spool;
	void (*work)(struct sealer_task *task); /* in a thread; may block */
	void (*done)(struct sealer_task *task); /* on the loop; may free the task */
	const atomic_uint *progress;            /* changes while work() gets on */

	/* The sealers' own. */
	STAILQ_ENTRY(sealer_task) link;
	int64_t since_us; /* monotonic: of waiting, then of the last progress */
	unsigned seen;    /* of *progress */
	bool hung;
	struct sealer_task *next, *previous; /* of those that run */
};

struct sealers;

/* -errno. The loop must run until sealers_stop() has been called, and after it. */
int sealers_start(uv_loop_t *loop, size_t n_spools, struct sealers **ret_sealers);

void sealers_give(struct sealers *sealers, struct sealer_task *task);

/* How many threads of this spool hang; *ret_since_us (monotonic): since when the first one does. */
size_t sealers_hung(struct sealers *sealers, size_t spool, int64_t *ret_since_us);

/* Lets idle threads end and closes the handles on the loop. Threads that work on (they may hang for
 * ever) end, or not, with the process: their tasks' done() is not called any more. Takes NULL;
 * returns NULL. */
struct sealers *sealers_stop(struct sealers *sealers);
