#include "daemon/intake/spool/queue.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* heap_at of a candidate that is not in the heap */
#define TAKEN    SIZE_MAX
#define DEFERRED (SIZE_MAX - 1)

#define DEFERRED_LEAST 4

TAILQ_HEAD(candidates, candidate);

struct queue {
	size_t capacity, count;
	struct candidate **buckets; /* `capacity` chains, by spool and path */
	struct candidate **heap;    /* the waiting ones, by due time, then by order of arrival */
	size_t waiting;
	struct candidates deferred;
	size_t n_deferred;
	uint64_t sequence;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

struct queue *queue_new(size_t capacity)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	TAILQ_INIT(&queue->deferred);
	queue->capacity = capacity;
	queue->buckets = calloc(capacity, sizeof(*queue->buckets));
	queue->heap = calloc(capacity, sizeof(*queue->heap));
	if (!queue->buckets || !queue->heap)
		return queue_free(queue);
	crypto_shorthash_keygen(queue->key);
	return queue;
}

static void candidate_free(struct candidate *candidate)
{
	free(candidate->path);
	free(candidate);
}

struct queue *queue_free(struct queue *queue)
{
	if (!queue)
		return NULL;
	for (size_t i = 0; queue->buckets && i < queue->capacity; i++) {
		for (struct candidate *c = queue->buckets[i], *next; c; c = next) {
			next = c->next;
			candidate_free(c);
		}
	}
	free(queue->buckets);
	free(queue->heap);
	free(queue);
	return NULL;
}

/* The hash is keyed, because strangers choose the names. */
static struct candidate **queue_bucket(const struct queue *queue, size_t spool, const char *path)
{
	uint8_t hash[crypto_shorthash_BYTES];

	crypto_shorthash(hash, (const uint8_t *)path, strlen(path), queue->key);
	return &queue->buckets[(get_le64(hash) + spool) & (queue->capacity - 1)];
}

static bool candidate_earlier(const struct candidate *a, const struct candidate *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->sequence < b->sequence;
}

static void heap_put(struct queue *queue, size_t at, struct candidate *candidate)
{
	queue->heap[at] = candidate;
	candidate->heap_at = at;
}

static void heap_settle(struct queue *queue, struct candidate *candidate)
{
	size_t at = candidate->heap_at;

	/* Up as long as it is due earlier than its parent, then down as long as a child is due
	 * earlier than it: at most one of the two moves it. */
	for (; at > 0 && candidate_earlier(candidate, queue->heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap_put(queue, at, queue->heap[(at - 1) / 2]);
	for (size_t child; (child = 2 * at + 1) < queue->waiting; at = child) {
		if (child + 1 < queue->waiting &&
				candidate_earlier(queue->heap[child + 1], queue->heap[child]))
			child++;
		if (!candidate_earlier(queue->heap[child], candidate))
			break;
		heap_put(queue, at, queue->heap[child]);
	}
	heap_put(queue, at, candidate);
}

static void heap_insert(struct queue *queue, struct candidate *candidate)
{
	candidate->heap_at = queue->waiting++;
	heap_settle(queue, candidate);
}

static void heap_remove(struct queue *queue, struct candidate *candidate)
{
	size_t at = candidate->heap_at;
	struct candidate *last = queue->heap[--queue->waiting];

	candidate->heap_at = TAKEN;
	if (last == candidate)
		return;
	/* The last one fills the gap. */
	last->heap_at = at;
	heap_settle(queue, last);
}

static void candidate_sight_again(
		struct queue *queue, struct candidate *c, const struct sighting *s)
{
	if (!s->event)
		return;
	c->arrived = s->arrived;
	/* Whoever has taken it sees the file as it was: it is to be looked at once more. */
	if (c->heap_at == TAKEN) {
		c->touched = true;
		return;
	}
	c->failures = c->writers = 0;
	c->since_us = s->since_us;
	c->due_us = s->due_us > c->rest_until_us ? s->due_us : c->rest_until_us;
	if (c->heap_at == DEFERRED) {
		TAILQ_REMOVE(&queue->deferred, c, deferred);
		queue->n_deferred--;
		heap_insert(queue, c);
	} else {
		heap_settle(queue, c);
	}
}

int queue_add(struct queue *queue, const struct sighting *s)
{
	struct candidate **bucket = queue_bucket(queue, s->spool, s->path);

	for (struct candidate *c = *bucket; c; c = c->next) {
		if (c->spool == s->spool && strcmp(c->path, s->path) == 0) {
			candidate_sight_again(queue, c, s);
			return 0;
		}
	}
	if (queue->count == queue->capacity)
		return QUEUE_FULL;
	struct candidate *c = calloc(1, sizeof(*c));
	if (!c || !(c->path = strdup(s->path))) {
		free(c);
		return -ENOMEM;
	}
	c->spool = s->spool;
	c->since_us = s->since_us;
	c->arrived = s->arrived;
	c->sequence = queue->sequence++;
	c->due_us = s->due_us;
	c->next = *bucket;
	*bucket = c;
	queue->count++;
	heap_insert(queue, c);
	return 0;
}

struct candidate *queue_take(struct queue *queue, int64_t now_us)
{
	if (queue->waiting == 0 || queue->heap[0]->due_us > now_us)
		return NULL;
	struct candidate *c = queue->heap[0];
	heap_remove(queue, c);
	c->touched = false;
	return c;
}

void queue_return(struct queue *queue, struct candidate *candidate, int64_t due_us)
{
	candidate->due_us = due_us;
	/* Behind the others of the same time: none is looked at twice before another is once. */
	candidate->sequence = queue->sequence++;
	heap_insert(queue, candidate);
}

bool queue_defer(struct queue *queue, struct candidate *candidate)
{
	if (queue->n_deferred >= DEFERRED_LEAST && queue->n_deferred >= queue->capacity / 4)
		return false;
	candidate->heap_at = DEFERRED;
	TAILQ_INSERT_TAIL(&queue->deferred, candidate, deferred);
	queue->n_deferred++;
	return true;
}

bool queue_has_deferred(const struct queue *queue)
{
	return !TAILQ_EMPTY(&queue->deferred);
}

struct candidate *queue_take_deferred(struct queue *queue)
{
	struct candidate *c = TAILQ_FIRST(&queue->deferred);

	if (!c)
		return NULL;
	TAILQ_REMOVE(&queue->deferred, c, deferred);
	queue->n_deferred--;
	c->heap_at = TAKEN;
	c->touched = false;
	return c;
}

void queue_drop(struct queue *queue, struct candidate *candidate)
{
	struct candidate **at = queue_bucket(queue, candidate->spool, candidate->path);

	while (*at != candidate)
		at = &(*at)->next;
	*at = candidate->next;
	queue->count--;
	candidate_free(candidate);
}

int64_t queue_next_due_us(const struct queue *queue)
{
	return queue->waiting > 0 ? queue->heap[0]->due_us : INT64_MAX;
}

size_t queue_room(const struct queue *queue)
{
	return queue->capacity - queue->count;
}

bool queue_crowded(const struct queue *queue)
{
	return queue->count > queue->capacity / 2;
}

void queue_count(const struct queue *queue, size_t spool, size_t *ret_count, int64_t *ret_oldest_us)
{
	size_t count = 0;
	int64_t oldest_us = 0;

	for (size_t i = 0; i < queue->capacity; i++) {
		for (const struct candidate *c = queue->buckets[i]; c; c = c->next) {
			if (c->spool != spool)
				continue;
			count++;
			if (c->since_us > 0 && (oldest_us == 0 || c->since_us < oldest_us))
				oldest_us = c->since_us;
		}
	}
	*ret_count = count;
	*ret_oldest_us = oldest_us;
}
