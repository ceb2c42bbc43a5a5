/* The threads that seal: whatever the tasks of some spools do, those of another are done; and no more
 * threads are made than there may be. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/monotonic.h"
#include "daemon/intake/work/sealers.h"
#include "daemon/intake/work/share.h"

/* The clock is the test's, so that nothing here waits for half a minute. */
static int64_t skipped_us;
uint64_t __wrap_uv_hrtime(void);
uint64_t __real_uv_hrtime(void);

uint64_t __wrap_uv_hrtime(void)
{
	return __real_uv_hrtime() + (uint64_t)skipped_us * 1000;
}

enum { SPOOLS = 4, TASKS = 64 };

static uv_loop_t loop;
static struct sealers *sealers;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* closed: tasks that hang wait for it */
static atomic_uint running, at_once;

struct test_task {
	struct sealer_task task;
	atomic_uint progress;
	bool hangs;
	bool done;
};
static struct test_task tasks[TASKS];
static size_t n_tasks;

static void task_work(struct sealer_task *task)
{
	struct test_task *t = (struct test_task *)task;
	unsigned now = atomic_fetch_add(&running, 1) + 1;

	if (now > atomic_load(&at_once))
		atomic_store(&at_once, now);
	if (t->hangs) {
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
	} else {
		usleep(2000);
	}
	atomic_fetch_sub(&running, 1);
}

static void task_done(struct sealer_task *task)
{
	((struct test_task *)task)->done = true;
}

static struct test_task *give(size_t spool, bool hangs)
{
	struct test_task *t = &tasks[n_tasks++];

	assert_true(n_tasks <= TASKS);
	*t = (struct test_task){.task = {.spool = spool, .work = task_work, .done = task_done},
			.hangs = hangs};
	t->task.progress = &t->progress;
	sealers_give(sealers, &t->task);
	return t;
}

static int setup(void **state)
{
	n_tasks = 0;
	skipped_us = 0;
	atomic_store(&running, 0);
	atomic_store(&at_once, 0);
	pthread_mutex_lock(&gate);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(sealers_start(&loop, SPOOLS, &sealers), 0);
	return 0;
}

static void run_until_done(size_t from, size_t to)
{
	for (bool all = false; !all;) {
		uv_run(&loop, UV_RUN_ONCE);
		all = true;
		for (size_t i = from; i < to; i++)
			all = all && tasks[i].done;
	}
}

static int teardown(void **state)
{
	pthread_mutex_unlock(&gate);
	run_until_done(0, n_tasks);
	sealers = sealers_stop(sealers);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static void await_running(unsigned n)
{
	while (atomic_load(&running) < n)
		uv_run(&loop, UV_RUN_ONCE);
}

static void all_is_done_by_few_threads(void **state)
{
	for (int i = 0; i < TASKS; i++)
		give((size_t)i % SPOOLS, false);
	run_until_done(0, TASKS);
	assert_in_range(atomic_load(&at_once), 2, SEALERS_THREADS);
}

/* One spool has all that it may have: another is not kept waiting. */
static void a_spool_that_hangs_leaves_threads_to_the_others(void **state)
{
	size_t most = share_active_max(SEALERS_THREADS, SPOOLS);

	for (int i = 0; i < 20; i++)
		give(0, true);
	await_running((unsigned)most);
	usleep(10000);
	assert_int_equal(atomic_load(&running), most); /* the control: it would take more */
	size_t first = n_tasks;
	for (int i = 0; i < 20; i++)
		give(1, false);
	run_until_done(first, n_tasks);
	assert_false(tasks[0].done);
}

/* All the threads hang before it is known that they do: a spool that waits gets one all the same,
 * and the full number once it is known. */
static void spools_that_hang_together_leave_one_to_the_last(void **state)
{
	int64_t since_us;

	for (int i = 0; i < 10; i++) {
		give(0, true);
		give(1, true);
		give(2, true);
	}
	await_running(SEALERS_THREADS);
	struct test_task *last = give(3, false);
	assert_int_equal(sealers_hung(sealers, 0, &since_us), 0);
	run_until_done(n_tasks - 1, n_tasks);
	assert_true(last->done);
	assert_false(tasks[0].done);
	skipped_us += SEALERS_HUNG_US;
	while (sealers_hung(sealers, 0, &since_us) + sealers_hung(sealers, 1, &since_us) +
					sealers_hung(sealers, 2, &since_us) <
			SEALERS_THREADS)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(sealers_hung(sealers, 3, &since_us), 0);
	size_t first = n_tasks;
	for (int i = 0; i < 20; i++)
		give(3, false);
	run_until_done(first, n_tasks);
	/* The bound: however much hangs, so many are replaced, and no more. */
	for (int round = 0; round < 3; round++) {
		skipped_us += SEALERS_HUNG_US;
		for (int i = 0; i < 4; i++)
			uv_run(&loop, UV_RUN_ONCE);
	}
	assert_in_range(atomic_load(&at_once), SEALERS_THREADS, 2 * SEALERS_THREADS + SPOOLS);
}

/* Slow is not hung, as long as it gets on. */
static void what_gets_on_does_not_hang(void **state)
{
	struct test_task *t = give(0, true);
	int64_t since_us;

	await_running(1);
	for (int i = 0; i < 5; i++) {
		skipped_us += SEALERS_HUNG_US - 2 * 1000 * 1000;
		atomic_fetch_add(&t->progress, 1);
		for (int turn = 0; turn < 3; turn++)
			uv_run(&loop, UV_RUN_ONCE);
		assert_int_equal(sealers_hung(sealers, 0, &since_us), 0);
	}
	skipped_us += SEALERS_HUNG_US;
	for (int turn = 0; turn < 3; turn++)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(sealers_hung(sealers, 0, &since_us), 1);
	/* And it is no longer counted when it comes back. */
	atomic_fetch_add(&t->progress, 1);
	for (int turn = 0; turn < 3; turn++)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(sealers_hung(sealers, 0, &since_us), 0);
}

#define with_threads(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			with_threads(all_is_done_by_few_threads),
			with_threads(a_spool_that_hangs_leaves_threads_to_the_others),
			with_threads(spools_that_hang_together_leave_one_to_the_last),
			with_threads(what_gets_on_does_not_hang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
