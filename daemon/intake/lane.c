#include "daemon/intake/lane.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/intake/spool/report.h"

/* Signals are for the intake's thread: with all blocked, none is delivered in this one. */
static int lane_make_thread(struct lane *lane)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = uv_thread_create(&lane->thread, lane_thread_run, lane);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	lane->running = r == 0;
	return r;
}

int lane_start(struct lane *lane, const struct lane_setup *setup, struct reason *reason)
{
	memset(lane, 0, sizeof(*lane));
	lane->setup = *setup;
	lane->spool.root_fd = -1;
	pthread_mutex_init(&lane->shared.lock, NULL);
	STAILQ_INIT(&lane->shared.in);
	STAILQ_INIT(&lane->shared.out);
	atomic_store(&lane->heard_us, monotonic_us());
	lane->latest_us = monotonic_us();
	int r = lane_thread_prepare(lane, reason);
	if (r < 0)
		return r;
	r = lane_make_thread(lane);
	return r < 0 ? reason_set_error(reason, r, "starting the thread of a spool") : 0;
}

void lane_allow(struct lane *lane, size_t room, bool large_room)
{
	pthread_mutex_lock(&lane->shared.lock);
	/* Those on the way have taken theirs already. */
	room = !lane->allowed ? 0 : room;
	room = room > lane->shared.n_new ? room - lane->shared.n_new : 0;
	bool more = room > lane->shared.room || (large_room && !lane->shared.large_room);
	lane->shared.room = room;
	lane->shared.large_room = large_room;
	pthread_mutex_unlock(&lane->shared.lock);
	if (more && lane->running)
		uv_async_send(&lane->mail);
}

void lane_give(struct lane *lane, struct job *job)
{
	pthread_mutex_lock(&lane->shared.lock);
	STAILQ_INSERT_TAIL(&lane->shared.in, job, errand);
	pthread_mutex_unlock(&lane->shared.lock);
	uv_async_send(&lane->mail);
}

struct job *lane_take(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	struct job *job = STAILQ_FIRST(&lane->shared.out);
	if (job) {
		STAILQ_REMOVE_HEAD(&lane->shared.out, errand);
		lane->shared.n_new -= job->state == JOB_NEW;
	}
	pthread_mutex_unlock(&lane->shared.lock);
	return job;
}

json_t *lane_report(struct lane *lane, int64_t *ret_made_us)
{
	const struct config *config = lane->setup.config;

	pthread_mutex_lock(&lane->shared.lock);
	json_t *report = lane->shared.report;
	lane->shared.report = NULL;
	if (report)
		lane->latest_us = lane->shared.report_us;
	pthread_mutex_unlock(&lane->shared.lock);
	if (report) {
		json_decref(lane->latest);
		lane->latest = report;
	}
	if (!lane->latest)
		lane->latest = report_unknown(&config->spools[lane->setup.index], config->n_spools);
	*ret_made_us = lane->latest_us;
	return lane->latest;
}

json_t *lane_question(struct lane *lane, bool again)
{
	pthread_mutex_lock(&lane->shared.lock);
	bool wanted = lane->shared.question && (again || !lane->shared.asked);
	/* The thread is done with it. */
	json_t *question = wanted ? json_deep_copy(lane->shared.question) : NULL;
	lane->shared.asked |= question != NULL;
	pthread_mutex_unlock(&lane->shared.lock);
	return question;
}

void lane_answer(struct lane *lane, const uint8_t folder[static ORIGIN_HASH_BYTES], bool may)
{
	lane->allowed = may;
	pthread_mutex_lock(&lane->shared.lock);
	lane->shared.answered = true;
	lane->shared.may = may;
	memcpy(lane->shared.folder, folder, ORIGIN_HASH_BYTES);
	pthread_mutex_unlock(&lane->shared.lock);
	if (lane->running)
		uv_async_send(&lane->mail);
}

void lane_search(struct lane *lane, struct leftovers_question *question)
{
	pthread_mutex_lock(&lane->shared.lock);
	struct leftovers_question *before = lane->shared.search;
	json_t *found = lane->shared.found;
	lane->shared.search = question;
	lane->shared.found = NULL;
	pthread_mutex_unlock(&lane->shared.lock);
	leftovers_question_free(before);
	json_decref(found);
	if (lane->running)
		uv_async_send(&lane->mail);
}

json_t *lane_found(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	json_t *found = lane->shared.found;
	lane->shared.found = NULL;
	pthread_mutex_unlock(&lane->shared.lock);
	return found;
}

int64_t lane_silent_us(const struct lane *lane)
{
	int64_t silent_us = monotonic_us() - atomic_load(&lane->heard_us);

	return silent_us > LANE_SILENT_US ? silent_us : 0;
}

void lane_wind_down(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	lane->shared.winding_down = true;
	lane->shared.room = 0;
	pthread_mutex_unlock(&lane->shared.lock);
}

void lane_stop(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	lane->shared.stop = true;
	pthread_mutex_unlock(&lane->shared.lock);
	if (lane->running)
		uv_async_send(&lane->mail);
}

bool lane_ended(struct lane *lane)
{
	pthread_mutex_lock(&lane->shared.lock);
	bool ended = lane->shared.ended || !lane->running;
	pthread_mutex_unlock(&lane->shared.lock);
	return ended;
}

void lane_free(struct lane *lane)
{
	json_decref(lane->latest);
	lane->latest = NULL;
	/* It hangs: what it uses stays, and so does this. */
	if (!lane_ended(lane))
		return;
	if (lane->running)
		uv_thread_join(&lane->thread);
	lane->running = false;
	lane_thread_free(lane);
	json_decref(lane->shared.report);
	json_decref(lane->shared.question);
	json_decref(lane->shared.found);
	leftovers_question_free(lane->shared.search);
	pthread_mutex_destroy(&lane->shared.lock);
}
