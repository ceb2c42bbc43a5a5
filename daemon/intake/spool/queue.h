/* The candidates of a spool: files that may be finished recordings, each once, the earliest due
 * first.
 *
 *     new --queue_add--> waiting --queue_take--> taken --queue_return--> waiting
 *                                                taken --queue_defer--> deferred
 *                                                taken --queue_drop--> gone
 *     deferred --queue_take_deferred--> taken
 *     deferred --queue_add of an event--> waiting
 *
 * A taken candidate is being looked at, or is in a job. Candidates belong to the queue, and a path
 * of a spool is there once at most. Memory is bounded: it does not grow with the spool. Times are
 * monotonic, except since_us. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/intake/source/source.h"

struct candidate {
	size_t spool; /* index in the configuration */
	char *path;   /* below the spool */
	int64_t due_us;
	int64_t since_us;      /* wall clock: its last change as far as known */
	bool touched;          /* an event came while it was taken */
	bool arrived;          /* the last event: the file was renamed to this name */
	unsigned writers;      /* looks in a row that found a writer */
	unsigned failures;     /* attempts in a row that failed */
	unsigned changes;      /* seals in a row that a change of the file has spoiled */
	int64_t rest_until_us; /* because of them: no event brings it back before */

	/* For a file with an impossible time: when this very state of it was first met. */
	struct source_identity met;
	int64_t met_us; /* wall clock; 0: not yet */

	/* The queue's own. */
	uint64_t sequence;
	size_t heap_at;
	struct candidate *next;
	TAILQ_ENTRY(candidate) deferred;
};

struct queue;

/* capacity is a power of two. NULL when out of memory. */
struct queue *queue_new(size_t capacity);
struct queue *queue_free(struct queue *queue);

/* A sighting: a file, and from when on it is worth a look. An event (something has just happened to
 * the file) moves the due time of a waiting candidate to this one and forgets its failures; a taken
 * candidate is marked touched. A scan leaves a known candidate as it is. */
struct sighting {
	size_t spool;
	const char *path; /* copied */
	int64_t due_us;
	int64_t since_us;
	bool event, arrived;
};

/* 0, QUEUE_FULL, or -ENOMEM. */
enum { QUEUE_FULL = 1 };
int queue_add(struct queue *queue, const struct sighting *sighting);

/* The waiting candidate that has been due longest, now taken; NULL when none is due. */
struct candidate *queue_take(struct queue *queue, int64_t now_us);

/* A taken candidate waits again. */
void queue_return(struct queue *queue, struct candidate *candidate, int64_t due_us);

/* A taken candidate waits for queue_take_deferred(), or for an event, whatever the time. At most a
 * quarter of the queue waits so, since the others need its room as well: false when there are so
 * many, and then it is still taken. */
bool queue_defer(struct queue *queue, struct candidate *candidate);

bool queue_has_deferred(const struct queue *queue);

/* The candidate deferred first, now taken; NULL when there is none. */
struct candidate *queue_take_deferred(struct queue *queue);

/* Frees a taken candidate. */
void queue_drop(struct queue *queue, struct candidate *candidate);

/* When the next waiting candidate is due; INT64_MAX when none waits. */
int64_t queue_next_due_us(const struct queue *queue);

/* How many more candidates fit. */
size_t queue_room(const struct queue *queue);

/* Whether more than half of the queue is in use. */
bool queue_crowded(const struct queue *queue);

/* How many candidates of the spool there are, taken ones included, and the least since_us (0 for
 * none). */
void queue_count(
		const struct queue *queue, size_t spool, size_t *ret_count, int64_t *ret_oldest_us);
