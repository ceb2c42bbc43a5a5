/* The commit queue. All of its state belongs to the loop's thread; a thread of the pool has only
 * the one entry, or the one batch, that was given to it, until the loop hears that it is done.
 *
 * Invariants:
 * 1. An entry is in the list, in verification or ready; or in the batch; never in both.
 * 2. While batch.n > 0 the batch is with a thread, or in a call that will give it to one or end it.
 * 3. An entry that was left (order.committed is NULL) is aborted as soon as no thread has it,
 *    unless it is in the batch. */
#include "daemon/keeper/ingest/ingest_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "daemon/common/config/config.h"

struct entry {
	uv_work_t work;
	struct ingest_queue *queue;
	struct ingest_queue_order order;
	bool is_long, ready;
	int result; /* of the verification: 1 while there is more */
	struct entry *next;
};

struct batch {
	uv_work_t work;
	struct entry *entries[INGEST_QUEUE_BATCH_MAX];
	struct ingest_job *jobs[INGEST_QUEUE_BATCH_MAX];
	int results[INGEST_QUEUE_BATCH_MAX];
	size_t n;
};

struct ingest_queue {
	uv_loop_t *loop;
	struct ingest *ingest;
	struct ingest_observer observer;
	bool ends_only, ended;
	struct entry *first, **last; /* in the order of addition */
	struct batch batch;
};

static void batch_begin(struct ingest_queue *queue);

/* ---- Entries ---- */

static void entry_unlink(struct entry *entry)
{
	struct ingest_queue *queue = entry->queue;
	struct entry **link = &queue->first;

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	if (!*link)
		queue->last = link;
}

static void entry_free(struct entry *entry)
{
	ingest_abort(entry->order.job);
	free(entry);
}

static bool entry_was_left(const struct entry *entry)
{
	return entry->order.committed == NULL;
}

/* ---- Verification ---- */

static void verify_in_thread(uv_work_t *work)
{
	struct entry *entry = work->data;

	entry->result = ingest_verify(entry->order.job, entry->queue->ends_only);
}

/* Frees the queue once it has ended and is empty; else the next batch. */
static void queue_go_on(struct ingest_queue *queue)
{
	if (queue->ended && !queue->first && queue->batch.n == 0) {
		free(queue);
		return;
	}
	if (queue->batch.n == 0)
		batch_begin(queue);
}

static void stride_ended(uv_work_t *work, int status);

static int stride_begin(struct entry *entry)
{
	entry->work.data = entry;
	return uv_queue_work(entry->queue->loop, &entry->work, verify_in_thread, stride_ended);
}

static void stride_ended(uv_work_t *work, int status)
{
	struct entry *entry = work->data;
	struct ingest_queue *queue = entry->queue;

	if (status < 0)
		entry->result = status;
	/* The intake is gone: the object vanishes, the plaintext is still in the spool. */
	if (entry_was_left(entry)) {
		entry_unlink(entry);
		entry_free(entry);
		queue_go_on(queue);
		return;
	}
	/* The next stride, behind those that came meanwhile: a thread has the entry once more. */
	if (entry->result > 0 && stride_begin(entry) == 0)
		return;
	if (entry->result > 0)
		entry->result = -ENOMEM;
	entry->ready = true;
	queue_go_on(queue);
}

/* ---- Batches ---- */

/* Short entries are taken in their order: none past one that is still verified. Says how many may
 * be taken, and whether a short one is still verified. */
static size_t batch_choose(struct ingest_queue *queue, struct entry **ret_entries, bool *ret_busy)
{
	size_t n = 0;
	bool busy = false;

	for (struct entry *e = queue->first; e && n < INGEST_QUEUE_BATCH_MAX; e = e->next) {
		if (e->ready && (e->is_long || !busy))
			ret_entries[n++] = e;
		busy |= !e->ready && !e->is_long;
	}
	*ret_busy = busy;
	return n;
}

static void batch_take(struct ingest_queue *queue, struct entry *const *entries, size_t n)
{
	struct batch *batch = &queue->batch;

	for (size_t i = 0; i < n; i++) {
		/* Out of the list: ingest_queue_leave() must not free what a thread works on. */
		entry_unlink(entries[i]);
		batch->entries[i] = entries[i];
		batch->jobs[i] = entries[i]->order.job;
		batch->results[i] = entries[i]->result;
	}
	batch->n = n;
}

static void entry_observe(const struct entry *entry, int result)
{
	const struct ingest_observer *observer = &entry->queue->observer;
	struct ingest_summary what;

	ingest_summarise(entry->order.job, &what);
	if (result == 0)
		observer->sealed(observer->context, &what);
	else if (entry->result < 0)
		observer->spoiled(observer->context, &what, entry->result);
}

/* An answer may end the session, which then leaves the rest of the batch. */
static void batch_end(struct ingest_queue *queue)
{
	struct batch *batch = &queue->batch;

	for (size_t i = 0; i < batch->n; i++) {
		struct entry *entry = batch->entries[i];
		const struct ingest_queue_order *order = &entry->order;
		uint8_t ulid[ULID_BYTES];

		memcpy(ulid, ingest_recording_id(order->job), sizeof(ulid));
		entry_observe(entry, batch->results[i]);
		if (order->committed)
			order->committed(order->context, order->number, ulid, batch->results[i]);
	}
	for (size_t i = 0; i < batch->n; i++)
		entry_free(batch->entries[i]);
	batch->n = 0;
	queue_go_on(queue);
}

static void unname_in_thread(uv_work_t *work)
{
	const struct batch *batch = &((struct ingest_queue *)work->data)->batch;

	ingest_unname(batch->jobs, batch->n, batch->results);
}

static void batch_unnamed(uv_work_t *work, int status)
{
	batch_end(work->data);
}

static void name_in_thread(uv_work_t *work)
{
	struct batch *batch = &((struct ingest_queue *)work->data)->batch;

	ingest_name(batch->jobs, batch->n, batch->results);
}

static void batch_named(uv_work_t *work, int status)
{
	struct ingest_queue *queue = work->data;
	struct batch *batch = &queue->batch;
	/* Back on the loop's thread, the only one that may use the database. */
	bool leftover = ingest_catalogue(queue->ingest, batch->jobs, batch->n, batch->results);

	/* Removing may wait for a disk, so a thread does it. If none can be had, the next start
	 * sets the objects aside. */
	if (leftover && uv_queue_work(queue->loop, &batch->work, unname_in_thread, batch_unnamed) ==
					0)
		return;
	batch_end(queue);
}

static void batch_begin(struct ingest_queue *queue)
{
	struct entry *entries[INGEST_QUEUE_BATCH_MAX];
	bool busy;
	size_t n = batch_choose(queue, entries, &busy);

	/* A commit costs one sync, whatever its size: better a fuller batch a
	 * moment later. */
	if (n == 0 || (busy && n < INGEST_QUEUE_BATCH_GOOD))
		return;
	batch_take(queue, entries, n);
	queue->batch.work.data = queue;
	if (uv_queue_work(queue->loop, &queue->batch.work, name_in_thread, batch_named) < 0) {
		for (size_t i = 0; i < n; i++)
			queue->batch.results[i] = -ENOMEM;
		batch_end(queue);
	}
}

/* ---- From outside ---- */

int ingest_queue_new(uv_loop_t *loop, struct ingest *ingest, const struct ingest_observer *observer,
		struct ingest_queue **ret_queue)
{
	struct ingest_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return -ENOMEM;
	queue->loop = loop;
	queue->ingest = ingest;
	queue->observer = *observer;
	queue->ends_only = ingest->config->verify_ends;
	queue->last = &queue->first;
	*ret_queue = queue;
	return 0;
}

int ingest_queue_add(struct ingest_queue *queue, const struct ingest_queue_order *order)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->queue = queue;
	entry->order = *order;
	entry->is_long = ingest_is_long(order->job) && !queue->ends_only;
	int r = stride_begin(entry);
	if (r < 0) {
		free(entry);
		return r;
	}
	/* After the thread has it: a failure above leaves no trace in the list. */
	*queue->last = entry;
	queue->last = &entry->next;
	return 0;
}

void ingest_queue_leave(struct ingest_queue *queue, const void *context)
{
	struct entry *next;

	for (size_t i = 0; i < queue->batch.n; i++) {
		/* It is committed all the same; only nobody hears of it. */
		if (queue->batch.entries[i]->order.context == context)
			queue->batch.entries[i]->order.committed = NULL;
	}
	for (struct entry *e = queue->first; e; e = next) {
		next = e->next;
		if (e->order.context != context)
			continue;
		e->order.committed = NULL;
		if (!e->ready)
			continue; /* a thread has it: stride_ended() sees that it was left */
		entry_unlink(e);
		entry_free(e);
	}
}

struct ingest_queue *ingest_queue_end(struct ingest_queue *queue)
{
	if (!queue)
		return NULL;
	queue->ended = true;
	for (struct entry *e = queue->first; e;) {
		bool left = entry_was_left(e);
		if (!left)
			ingest_queue_leave(queue, e->order.context); /* which may free this one */
		e = left ? e->next : queue->first;
	}
	queue_go_on(queue);
	return NULL;
}
