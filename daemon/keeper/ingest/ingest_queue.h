/* Commits on their way through the threads of the pool, so that the loop never waits for the disk
 * of the objects:
 *
 *     WAITING -> verified in strides     (pool, several jobs at once)     ingest_verify()
 *     READY   -> named and synced        (pool, one batch at a time)      ingest_name()
 *             -> catalogued              (loop, one transaction a batch)  ingest_catalogue()
 *             -> names taken back        (pool, only where that failed)   ingest_unname()
 *             -> answered                (loop)
 *
 * Group commit: while one batch is synced the next one gathers, INGEST_QUEUE_BATCH_MAX at most. An
 * idle queue waits for the small objects that are being verified right now, which takes no longer
 * than a stride each, unless INGEST_QUEUE_BATCH_GOOD are ready: they share the sync of the folder
 * and the transaction.
 *
 * Order: jobs are answered in the order in which they were added. Those that are verified in
 * several strides (ingest_is_long()) are left out of this: they hold up nobody. */
#pragma once

#include <uv.h>

#include "daemon/keeper/ingest/ingest.h"

#define INGEST_QUEUE_BATCH_MAX  64
#define INGEST_QUEUE_BATCH_GOOD 8

struct ingest_queue;

struct ingest_queue_order {
	struct ingest_job *job;
	int64_t number; /* the caller's */
	/* Called once, on the loop, from within none of the functions below. result 0: durable, the
	 * plaintext may go; >0: ulid is the recording that holds the same bytes already
	 * (ingest_catalogue()). The job is gone afterwards. */
	void (*committed)(void *context, int64_t number, const uint8_t ulid[static ULID_BYTES],
			int result);
	void *context;
};

/* -ENOMEM. The observer is copied. */
int ingest_queue_new(uv_loop_t *loop, struct ingest *ingest, const struct ingest_observer *observer,
		struct ingest_queue **ret_queue);

/* The job becomes the queue's on success. -ENOMEM. */
int ingest_queue_add(struct ingest_queue *queue, const struct ingest_queue_order *order);

/* Nobody with this context waits for an answer any more: committed() is called for none of its
 * jobs. Those in the batch under way are committed, the others are aborted. */
void ingest_queue_leave(struct ingest_queue *queue, const void *context);

/* Leaves everybody, and frees the queue when the threads are done with it: the loop must run until
 * then, with the vault open. Takes NULL; returns NULL. */
struct ingest_queue *ingest_queue_end(struct ingest_queue *queue);
