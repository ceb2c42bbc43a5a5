/* recseald, whole, with files that never come to rest: they take neither the queue nor the time of
 * the others, and are not sealed again and again for nothing. */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "daemon/intake/work/jobs.h"
#include "tests/unit/support/intake_daemon.h"

static int setup(void **state)
{
	return intake_daemon_setup_two(state, "Jobs=4\nProbe=/nonexistent/recseal-probe");
}

static size_t committed(const struct fake_keeper *keeper, const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < keeper->n; i++)
		n += strncmp(keeper->recordings[i].path, prefix, strlen(prefix)) == 0 &&
		     keeper->recordings[i].state == FAKE_COMMITTED;
	return n;
}

static bool twenty_small_committed(struct fake_keeper *keeper, const void *nothing)
{
	return committed(keeper, "small") >= 20;
}

/* More large files than the queue of a spool holds, none of which can be finished. */
static void large_files_do_not_fill_the_queue(void **state)
{
	enum { LARGE = 9000 };
	struct intake_daemon *d = *state;
	char path[32];

	for (int i = 0; i < LARGE; i++) {
		snprintf(path, sizeof(path), "large-%d", i);
		_cleanup_close_ int fd = openat(
				d->spool.fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, (off_t)JOBS_LARGE_BYTES), 0);
	}
	d->keeper.hold_from_bytes = JOBS_LARGE_BYTES;
	intake_daemon_start(d);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "small-%d", i);
		put_text(&d->spool, path, "audio");
	}
	intake_daemon_await(d, twenty_small_committed, NULL);
	assert_int_equal(committed(&d->keeper, "large"), 0);
}

/* A process that touches the file for as long as it lives. */
static pid_t toucher(const struct spool_fixture *spool, const char *path)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = openat(spool->fd, path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0) {
			futimens(fd, NULL);
			close(fd);
		}
		usleep(50000);
	}
}

static bool reported_five_times(struct fake_keeper *keeper, const void *nothing)
{
	return keeper->reports >= 5;
}

static void a_file_that_is_touched_is_sealed_less_and_less_often(void **state)
{
	struct intake_daemon *d = *state;

	if (!leases_work(&d->spool))
		skip();
	put_text(&d->spool, "touched", "audio");
	put_text(&d->spool, "calm", "audio");
	/* Held: each attempt is under way until the next touch spoils it. */
	d->keeper.hold_from_bytes = 1;
	pid_t pid = toucher(&d->spool, "touched");
	intake_daemon_start(d);
	intake_daemon_await(d, reported_five_times, NULL);
	/* Some eight seconds, 160 touches: 10 ms, 20 ms, 40 ms ... 5 s of rest. */
	assert_in_range(fake_keeper_begins(&d->keeper, "touched"), 2, 14);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	d->keeper.hold_from_bytes = 0;
	for (size_t i = 0; i < d->keeper.n; i++) {
		if (d->keeper.recordings[i].state == FAKE_BEGUN)
			fake_keeper_answer_begin(&d->keeper, &d->keeper.recordings[i]);
	}
	intake_daemon_await_sealed(d, "touched");
	assert_false(is_there(&d->spool, "touched"));
}

#define with(test) cmocka_unit_test_setup_teardown(test, setup, intake_daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			with(large_files_do_not_fill_the_queue),
			with(a_file_that_is_touched_is_sealed_less_and_less_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
