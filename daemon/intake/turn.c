#include "daemon/intake/turn.h"

static bool turn_allows(const struct turn *turn, const struct spool *spool, int64_t now_us)
{
	return keeper_link_ready(turn->link) && jobs_room(turn->jobs, spool->index) &&
	       brake_allows(&spool->brake, jobs_of(turn->jobs, spool->index), now_us);
}

/* Deferred (large) candidates come first: they have few slots, and no other file takes these slots.
 */
static struct candidate *turn_take_from(
		const struct turn *turn, struct spool *spool, int64_t now_us)
{
	struct candidate *candidate = NULL;

	if (!turn_allows(turn, spool, now_us))
		return NULL;
	if (jobs_room_for_size(turn->jobs, JOBS_LARGE_BYTES))
		candidate = queue_take_deferred(spool->queue);
	return candidate ? candidate : queue_take(spool->queue, now_us);
}

struct candidate *turn_take(struct turn *turn, int64_t now_us)
{
	struct candidate *candidate = NULL;

	for (size_t i = 0; i < turn->n_spools && !candidate; i++) {
		candidate = turn_take_from(turn, &turn->spools[turn->next], now_us);
		turn->next = (turn->next + 1) % turn->n_spools;
	}
	return candidate;
}

static int64_t turn_spool_due_us(const struct turn *turn, const struct spool *spool)
{
	int64_t due_us = queue_next_due_us(spool->queue);

	/* The connection, or the end of a job, wakes the intake by itself. */
	if (!keeper_link_ready(turn->link) || !jobs_room(turn->jobs, spool->index))
		return INT64_MAX;
	if (queue_has_deferred(spool->queue) && jobs_room_for_size(turn->jobs, JOBS_LARGE_BYTES))
		due_us = 0;
	if (due_us == INT64_MAX || spool->brake.pause_us == 0)
		return due_us;
	/* The brake lets one candidate through when its pause is over and no job is under way. */
	if (jobs_of(turn->jobs, spool->index) > 0)
		return INT64_MAX;
	return due_us > spool->brake.until_us ? due_us : spool->brake.until_us;
}

int64_t turn_due_us(const struct turn *turn)
{
	int64_t next_us = INT64_MAX;

	for (size_t i = 0; i < turn->n_spools; i++) {
		int64_t due_us = turn_spool_due_us(turn, &turn->spools[i]);
		if (due_us < next_us)
			next_us = due_us;
	}
	return next_us;
}
