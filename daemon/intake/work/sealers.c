#include "daemon/intake/work/sealers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "daemon/intake/work/share.h"

#define CHECK_MS 250

STAILQ_HEAD(sealer_tasks, sealer_task);

/* One spool's tasks. */
struct bench {
	struct sealer_tasks waiting;
	size_t running, hung;
	int64_t hung_since_us;
};

struct sealers {
	uv_async_t ended; /* tasks are in `over` */
	uv_timer_t check;
	bool checking, stopped;
	size_t n_spools;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t call;  /* a thread may find a task */
	struct bench *benches;
	struct sealer_task *first; /* of those that run */
	struct sealer_tasks over;
	size_t running, hung, n_waiting;
	size_t idle, called, fresh; /* threads: idle; of these, called; made, and not begun */
	unsigned references;        /* the handles, and the threads */
};

static void sealers_unref(struct sealers *sealers)
{
	pthread_mutex_lock(&sealers->lock);
	unsigned left = --sealers->references;
	pthread_mutex_unlock(&sealers->lock);
	if (left > 0)
		return;
	pthread_mutex_destroy(&sealers->lock);
	pthread_cond_destroy(&sealers->call);
	free(sealers->benches);
	free(sealers);
}

/* ---- Whose task is next (with the lock held) ---- */

/* Threads that hang are replaced, up to a bound. */
static size_t sealers_counted(const struct sealers *sealers)
{
	size_t replaced = sealers->hung < SEALERS_THREADS ? sealers->hung : SEALERS_THREADS;

	return sealers->running - replaced;
}

static bool bench_starves(const struct bench *bench, int64_t now_us)
{
	const struct sealer_task *task = STAILQ_FIRST(&bench->waiting);

	return task && bench->running == 0 && now_us - task->since_us >= SEALERS_STARVED_US;
}

static bool bench_may_run(const struct sealers *sealers, const struct bench *bench, int64_t now_us)
{
	size_t own_max = share_active_max(SEALERS_THREADS, sealers->n_spools);

	if (STAILQ_EMPTY(&bench->waiting))
		return false;
	return bench_starves(bench, now_us) ||
	       (bench->running < own_max && sealers_counted(sealers) < SEALERS_THREADS);
}

/* Whoever has the fewest threads, then whoever has waited longest. */
static bool bench_comes_before(const struct bench *a, const struct bench *b)
{
	return a->running != b->running ? a->running < b->running
					: STAILQ_FIRST(&a->waiting)->since_us <
							  STAILQ_FIRST(&b->waiting)->since_us;
}

static struct bench *sealers_next(const struct sealers *sealers)
{
	int64_t now_us = monotonic_us();
	struct bench *next = NULL;

	for (size_t i = 0; sealers->n_waiting > 0 && i < sealers->n_spools; i++) {
		struct bench *bench = &sealers->benches[i];
		if (bench_may_run(sealers, bench, now_us) &&
				(!next || bench_comes_before(bench, next)))
			next = bench;
	}
	return next;
}

static struct sealer_task *sealers_take(struct sealers *sealers, struct bench *bench)
{
	struct sealer_task *task = STAILQ_FIRST(&bench->waiting);

	STAILQ_REMOVE_HEAD(&bench->waiting, link);
	sealers->n_waiting--;
	sealers->running++;
	bench->running++;
	task->since_us = monotonic_us();
	task->seen = atomic_load(task->progress);
	task->hung = false;
	task->previous = NULL;
	task->next = sealers->first;
	if (task->next)
		task->next->previous = task;
	sealers->first = task;
	return task;
}

static void sealers_put_back(struct sealers *sealers, struct sealer_task *task)
{
	struct bench *bench = &sealers->benches[task->spool];

	*(task->previous ? &task->previous->next : &sealers->first) = task->next;
	if (task->next)
		task->next->previous = task->previous;
	sealers->running--;
	bench->running--;
	if (task->hung) {
		sealers->hung--;
		bench->hung--;
	}
	STAILQ_INSERT_TAIL(&sealers->over, task, link);
}

/* ---- A thread ---- */

static void *sealer_thread(void *argument)
{
	struct sealers *sealers = argument;
	struct bench *bench;

	pthread_mutex_lock(&sealers->lock);
	sealers->fresh--;
	while (!sealers->stopped) {
		bench = sealers_next(sealers);
		/* More are idle than will be needed: those in the place of one that hung. */
		if (!bench && sealers->idle >= SEALERS_THREADS)
			break;
		if (!bench) {
			sealers->idle++;
			pthread_cond_wait(&sealers->call, &sealers->lock);
			sealers->idle--;
			sealers->called -= sealers->called > 0;
			continue;
		}
		struct sealer_task *task = sealers_take(sealers, bench);
		pthread_mutex_unlock(&sealers->lock);
		task->work(task);
		pthread_mutex_lock(&sealers->lock);
		sealers_put_back(sealers, task);
		if (!sealers->stopped)
			uv_async_send(&sealers->ended);
	}
	pthread_mutex_unlock(&sealers->lock);
	sealers_unref(sealers);
	return NULL;
}

/* With the lock held. Signals are for the thread of the loop. */
static int sealer_thread_make(struct sealers *sealers)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	int r = pthread_create(&thread, &attributes, sealer_thread, sealers);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0) {
		sealers->references++;
		sealers->fresh++;
	}
	return -r;
}

/* With the lock held. A thread that cannot be made now is made at the next check. */
static void sealers_call(struct sealers *sealers)
{
	size_t on_way = sealers->called + sealers->fresh;
	const struct bench *next = on_way < sealers->n_waiting ? sealers_next(sealers) : NULL;

	if (!next || (on_way > 0 && sealers_counted(sealers) + on_way >= SEALERS_THREADS))
		return;
	if (sealers->idle > sealers->called) {
		sealers->called++;
		pthread_cond_signal(&sealers->call);
	} else {
		(void)sealer_thread_make(sealers);
	}
}

/* ---- The loop ---- */

static void sealer_task_check(struct sealers *sealers, struct sealer_task *task, int64_t now_us)
{
	struct bench *bench = &sealers->benches[task->spool];
	unsigned progress = atomic_load(task->progress);

	if (progress != task->seen) {
		task->seen = progress;
		task->since_us = now_us;
	}
	bool hung = now_us - task->since_us >= SEALERS_HUNG_US;
	if (hung == task->hung)
		return;
	task->hung = hung;
	if (hung && bench->hung == 0)
		bench->hung_since_us = task->since_us;
	sealers->hung += hung ? 1 : (size_t)-1;
	bench->hung += hung ? 1 : (size_t)-1;
}

static void on_sealers_check(uv_timer_t *timer)
{
	struct sealers *sealers = timer->data;
	int64_t now_us = monotonic_us();

	pthread_mutex_lock(&sealers->lock);
	for (struct sealer_task *task = sealers->first; task; task = task->next)
		sealer_task_check(sealers, task, now_us);
	sealers_call(sealers);
	sealers->checking = sealers->running > 0 || sealers->n_waiting > 0;
	pthread_mutex_unlock(&sealers->lock);
	if (!sealers->checking)
		uv_timer_stop(timer);
}

static void on_sealers_ended(uv_async_t *async)
{
	struct sealers *sealers = async->data;
	struct sealer_tasks over = STAILQ_HEAD_INITIALIZER(over);
	struct sealer_task *task;

	pthread_mutex_lock(&sealers->lock);
	STAILQ_CONCAT(&over, &sealers->over);
	pthread_mutex_unlock(&sealers->lock);
	while ((task = STAILQ_FIRST(&over)) && !sealers->stopped) {
		STAILQ_REMOVE_HEAD(&over, link);
		task->done(task);
	}
}

void sealers_give(struct sealers *sealers, struct sealer_task *task)
{
	pthread_mutex_lock(&sealers->lock);
	task->since_us = monotonic_us();
	STAILQ_INSERT_TAIL(&sealers->benches[task->spool].waiting, task, link);
	sealers->n_waiting++;
	sealers_call(sealers);
	pthread_mutex_unlock(&sealers->lock);
	if (!sealers->checking) {
		sealers->checking = true;
		uv_timer_start(&sealers->check, on_sealers_check, CHECK_MS, CHECK_MS);
	}
}

size_t sealers_hung(struct sealers *sealers, size_t spool, int64_t *ret_since_us)
{
	pthread_mutex_lock(&sealers->lock);
	size_t hung = sealers->benches[spool].hung;
	*ret_since_us = sealers->benches[spool].hung_since_us;
	pthread_mutex_unlock(&sealers->lock);
	return hung;
}

/* ---- Start and stop ---- */

int sealers_start(uv_loop_t *loop, size_t n_spools, struct sealers **ret_sealers)
{
	struct sealers *sealers = calloc(1, sizeof(*sealers));

	if (!sealers)
		return -ENOMEM;
	sealers->benches = calloc(n_spools ? n_spools : 1, sizeof(*sealers->benches));
	int r = sealers->benches ? uv_async_init(loop, &sealers->ended, on_sealers_ended) : -ENOMEM;
	if (r < 0) {
		free(sealers->benches);
		free(sealers);
		return r;
	}
	uv_timer_init(loop, &sealers->check);
	sealers->ended.data = sealers->check.data = sealers;
	sealers->n_spools = n_spools;
	sealers->references = 2;
	pthread_mutex_init(&sealers->lock, NULL);
	pthread_cond_init(&sealers->call, NULL);
	STAILQ_INIT(&sealers->over);
	for (size_t i = 0; i < n_spools; i++)
		STAILQ_INIT(&sealers->benches[i].waiting);
	*ret_sealers = sealers;
	return 0;
}

static void on_sealers_closed(uv_handle_t *handle)
{
	sealers_unref(handle->data);
}

struct sealers *sealers_stop(struct sealers *sealers)
{
	if (!sealers)
		return NULL;
	pthread_mutex_lock(&sealers->lock);
	sealers->stopped = true;
	pthread_cond_broadcast(&sealers->call);
	pthread_mutex_unlock(&sealers->lock);
	uv_close((uv_handle_t *)&sealers->ended, on_sealers_closed);
	uv_close((uv_handle_t *)&sealers->check, on_sealers_closed);
	return NULL;
}
