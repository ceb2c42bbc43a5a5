/* recseald, whole: neither many files nor large ones, nor a probe that hangs, nor a keeper that
 * fails keep other recordings waiting, and none of it makes it busy in vain. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "daemon/intake/spool/brake.h"
#include "daemon/intake/work/jobs.h"
#include "tests/unit/support/intake_daemon.h"
#include "tests/unit/support/probe_judge.h"

enum { JOBS = 4 };

static int setup_two(void **state)
{
	return intake_daemon_setup_two(state, "Jobs=4\nProbe=/nonexistent/recseal-probe");
}

/* The judge of the test in the probe's place: the first byte of a file says how it misbehaves. */
static int setup_judge(void **state, const char *timeout)
{
	const char *program = getenv("PROBE_TEST_SERVER");
	char *path = realpath(program ? program : "./probe_judge_server", NULL), settings[512];

	if (!path)
		return -1;
	snprintf(settings, sizeof(settings), "Jobs=4\nProbe=%s\nProbeTimeout=%s", path, timeout);
	free(path);
	return intake_daemon_setup_two(state, settings);
}

static int setup_patient_judge(void **state)
{
	return setup_judge(state, "10min");
}

static int setup_impatient_judge(void **state)
{
	return setup_judge(state, "500ms");
}

static void put_many(const struct spool_fixture *f, const char *prefix, int n, const char *text)
{
	char path[64];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s-%d", prefix, i);
		put_text(f, path, text);
	}
}

struct many {
	const char *prefix;
	size_t n;
};

static size_t count(const struct fake_keeper *keeper, const char *prefix, enum fake_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < keeper->n; i++)
		n += strncmp(keeper->recordings[i].path, prefix, strlen(prefix)) == 0 &&
		     keeper->recordings[i].state == state;
	return n;
}

static bool all_committed(struct fake_keeper *keeper, const void *argument)
{
	const struct many *many = argument;

	return count(keeper, many->prefix, FAKE_COMMITTED) >= many->n;
}

static void a_full_spool_does_not_crowd_out_another(void **state)
{
	enum { MANY = 1500, FEW = 5 };
	struct intake_daemon *d = *state;

	put_many(&d->spool, "many", MANY, "audio");
	put_many(&d->other, "few", FEW, "audio");
	intake_daemon_start(d);
	intake_daemon_await(d, all_committed, &(const struct many){"few", FEW});
	/* In turn, except for what was already under way. */
	assert_in_range(d->keeper.n, FEW, 2 * FEW + 8 * JOBS);
	intake_daemon_await(d, all_committed, &(const struct many){"many", MANY});
}

static void a_hanging_probe_holds_up_its_own_spool_only(void **state)
{
	enum { HANGING = 40, FINE = 40 };
	struct intake_daemon *d = *state;

	put_many(&d->spool, "hangs", HANGING, "h");
	put_many(&d->other, "fine", FINE, "k");
	intake_daemon_start(d);
	intake_daemon_await(d, all_committed, &(const struct many){"fine", FINE});
	assert_int_equal(d->keeper.n, FINE); /* the control: the others do hang */
	for (size_t i = 0; i < d->keeper.n; i++) {
		const char *condition = NULL;
		assert_int_equal(json_unpack(d->keeper.recordings[i].begin, "{s:{s:s}}", "probe",
						 "condition", &condition),
				0);
		assert_string_equal(condition, "ok");
	}
}

/* At one after the other, this many would take the probe a quarter of an hour. */
static void files_that_all_hang_the_probe_are_sealed(void **state)
{
	enum { HANGING = 2000 };
	struct intake_daemon *d = *state;
	size_t skipped = 0;

	put_many(&d->spool, "hangs", HANGING, "h");
	intake_daemon_start(d);
	intake_daemon_await(d, all_committed, &(const struct many){"hangs", HANGING});
	for (size_t i = 0; i < d->keeper.n; i++) {
		const char *condition = NULL, *damage = NULL;
		assert_int_equal(json_unpack(d->keeper.recordings[i].begin, "{s:{s:s, s:s}}",
						 "probe", "condition", &condition, "damage",
						 &damage),
				0);
		assert_string_equal(condition, "unprobed");
		skipped += strstr(damage, "held the probe up") != NULL;
	}
	assert_in_range(skipped, HANGING / 2, HANGING - 8);
	/* And the probe is asked again: the label comes back. */
	const char *condition = "";
	for (int i = 0; strcmp(condition, "ok") != 0; i++) {
		char path[32];
		assert_true(i < 1000);
		snprintf(path, sizeof(path), "fine-%d", i);
		put_text(&d->spool, path, "k");
		intake_daemon_await_sealed(d, path);
		assert_int_equal(json_unpack(fake_keeper_find(&d->keeper, path)->begin, "{s:{s:s}}",
						 "probe", "condition", &condition),
				0);
	}
}

static void whatever_the_probe_does_all_is_sealed(void **state)
{
	static const char hows[] = {JUDGE_HANG, JUDGE_SPIN, JUDGE_STOP, JUDGE_CRASH, JUDGE_MEMORY,
			JUDGE_GARBAGE, JUDGE_FLOOD, JUDGE_SILENT, JUDGE_EXIT, JUDGE_UNCONFINED,
			JUDGE_KILL_SERVER};
	struct intake_daemon *d = *state;
	char text[2] = {0}, path[16];

	for (size_t i = 0; i < sizeof(hows); i++) {
		snprintf(path, sizeof(path), "how-%zu", i);
		text[0] = hows[i];
		put_text(&d->spool, path, text);
	}
	put_many(&d->other, "fine", 10, "k");
	intake_daemon_start(d);
	intake_daemon_await(d, all_committed, &(const struct many){"fine", 10});
	intake_daemon_await(d, all_committed, &(const struct many){"how", sizeof(hows)});
	for (size_t i = 0; i < sizeof(hows); i++) {
		const char *condition = NULL;
		snprintf(path, sizeof(path), "how-%zu", i);
		text[0] = hows[i];
		const struct fake_recording *r = fake_keeper_find(&d->keeper, path);
		fake_keeper_assert_sealed(r, text, 1);
		assert_int_equal(json_unpack(r->begin, "{s:{s:s}}", "probe", "condition",
						 &condition),
				0);
		assert_string_equal(condition, "unprobed");
	}
}

/* ---- Large and small ---- */

enum { LARGE = 3 };

/* Sparse: what it has for content are zeros. */
static void put_large(const struct spool_fixture *f)
{
	char path[32];

	for (int i = 0; i < LARGE; i++) {
		snprintf(path, sizeof(path), "large-%d", i);
		_cleanup_close_ int fd =
				openat(f->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, (off_t)JOBS_LARGE_BYTES), 0);
	}
}

static void large_ones_do_not_hold_up_small_ones(void **state)
{
	struct intake_daemon *d = *state;

	put_large(&d->spool);
	d->keeper.hold_from_bytes = JOBS_LARGE_BYTES;
	intake_daemon_start(d);
	for (int round = 0; round < 3; round++) {
		char prefix[32];
		snprintf(prefix, sizeof(prefix), "small%d", round);
		put_many(&d->spool, prefix, 20, "audio");
		intake_daemon_await(d, all_committed, &(const struct many){prefix, 20});
	}
	assert_int_equal(count(&d->keeper, "large", FAKE_BEGUN), 1); /* one place of four */
	d->keeper.hold_from_bytes = 0;
	for (size_t i = 0; i < d->keeper.n; i++) {
		if (d->keeper.recordings[i].state == FAKE_BEGUN)
			fake_keeper_answer_begin(&d->keeper, &d->keeper.recordings[i]);
	}
	intake_daemon_await(d, all_committed, &(const struct many){"large", LARGE});
}

/* One small file after the other, always some of them waiting. */
static bool large_committed_amid_small(struct fake_keeper *keeper, const void *argument)
{
	static int fed;
	const struct intake_daemon *d = argument;
	char path[32];

	while (keeper->n < 3500 && (size_t)fed < count(keeper, "small", FAKE_COMMITTED) + 50) {
		snprintf(path, sizeof(path), "small-%d", fed++);
		put_text(&d->spool, path, "audio");
	}
	return count(keeper, "large", FAKE_COMMITTED) == LARGE;
}

static void small_ones_do_not_hold_up_large_ones(void **state)
{
	struct intake_daemon *d = *state;

	put_many(&d->spool, "before", 500, "audio");
	put_large(&d->spool);
	intake_daemon_start(d);
	intake_daemon_await(d, large_committed_amid_small, d);
	assert_true(d->keeper.n < 3500); /* or they came last, after the feeding had stopped */
}

/* ---- Bridges that never rest ---- */

/* A process of the bridge: works until it is killed. */
static pid_t bridge(
		void (*work)(const struct spool_fixture *spool), const struct spool_fixture *spool)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive the test */
	for (;;)
		work(spool);
}

static void end_bridge(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The first call opens it, for good. */
static void grow(const struct spool_fixture *spool)
{
	static int fd = -1;

	if (fd < 0)
		fd = openat(spool->fd, "growing", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (write(fd, "more", 4) != 4)
		_exit(1);
	usleep(200);
}

static void a_file_that_grows_for_ever_is_left_to_its_writer(void **state)
{
	enum { MANY = 300 };
	struct intake_daemon *d = *state;

	if (!leases_work(&d->spool))
		skip();
	pid_t pid = bridge(grow, &d->spool);
	intake_daemon_start(d);
	put_many(&d->spool, "many", MANY, "audio");
	intake_daemon_await(d, all_committed, &(const struct many){"many", MANY});
	assert_int_equal(count(&d->keeper, "growing", FAKE_COMMITTED), 0);
	end_bridge(pid);
	intake_daemon_await_sealed(d, "growing"); /* whole, and once */
	assert_int_equal(fake_keeper_begins(&d->keeper, "growing"), 1);
}

enum { STORM = 400, DEEP = 20 };

/* Anything anywhere gets another name. */
static void rename_about(const struct spool_fixture *spool)
{
	char from[128] = "", to[128] = "";
	int depth = rand() % DEEP;

	for (int i = 0; i < depth; i++)
		strcat(from, "d/");
	strcpy(to, from);
	snprintf(from + strlen(from), 16, "%d", rand() % STORM);
	snprintf(to + strlen(to), 16, "%d", rand() % STORM);
	renameat2(spool->fd, from, spool->fd, to, RENAME_NOREPLACE);
}

static bool storm_is_over(struct fake_keeper *keeper, const void *argument)
{
	static bool seen[STORM];
	const struct intake_daemon *d = argument;
	size_t sealed = 0;

	for (size_t i = 0; i < keeper->n; i++) {
		json_int_t bytes = json_integer_value(
				json_object_get(keeper->recordings[i].begin, "plain_bytes"));
		if (keeper->recordings[i].state == FAKE_COMMITTED)
			seen[bytes - 1] = true;
	}
	for (int i = 0; i < STORM; i++)
		sealed += seen[i];
	/* Not before every one is sealed may the folder it was in be empty. */
	return sealed == STORM && spool_is_empty(&d->spool);
}

/* In the middle of a storm of renames in a deep tree nothing is lost, and others are sealed. Each
 * is known by its size. */
static void a_storm_of_renames_loses_nothing(void **state)
{
	static const char bytes[STORM];
	struct intake_daemon *d = *state;
	char path[128];

	for (int i = 0; i < STORM; i++) {
		path[0] = '\0';
		for (int depth = 0; depth < i % DEEP; depth++) {
			strcat(path, "d");
			mkdirat(d->spool.fd, path, 0700);
			strcat(path, "/");
		}
		snprintf(path + strlen(path), 16, "%d", i);
		put_bytes(&d->spool, path, bytes, (size_t)i + 1);
	}
	pid_t pid = bridge(rename_about, &d->spool);
	intake_daemon_start(d);
	put_many(&d->other, "calm", 100, "audio");
	intake_daemon_await(d, all_committed, &(const struct many){"calm", 100});
	end_bridge(pid);
	intake_daemon_await(d, storm_is_over, d);
}

/* ---- A keeper that fails everything ---- */

static bool reported_three_times(struct fake_keeper *keeper, const void *nothing)
{
	return keeper->reports >= 3;
}

static void a_failing_keeper_is_not_asked_for_every_file(void **state)
{
	enum { MANY = 300 };
	struct intake_daemon *d = *state;

	d->keeper.fail_with = "No space left on device";
	d->keeper.fail_retry = true;
	put_many(&d->spool, "many", MANY, "audio");
	put_many(&d->other, "others", MANY, "audio");
	intake_daemon_start(d);
	intake_daemon_await(d, reported_three_times, NULL);
	/* Each spool gave up after a few, and then tried one at a time. */
	assert_in_range(d->keeper.n, 2, 2 * (BRAKE_AFTER + 2 * JOBS + 20));
	d->keeper.fail_with = NULL;
	intake_daemon_await(d, all_committed, &(const struct many){"many", MANY});
	intake_daemon_await(d, all_committed, &(const struct many){"others", MANY});
}

static bool all_refused(struct fake_keeper *keeper, const void *argument)
{
	const struct many *many = argument;

	return count(keeper, many->prefix, FAKE_FAILED) >= many->n;
}

/* What only this file meets does not slow its spool down. */
static void refusals_are_no_reason_to_wait(void **state)
{
	enum { MANY = 100 };
	struct intake_daemon *d = *state;

	d->keeper.fail_with = "not this one";
	d->keeper.fail_retry = false;
	put_many(&d->spool, "refused", MANY, "audio");
	intake_daemon_start(d);
	intake_daemon_await(d, all_refused, &(const struct many){"refused", MANY});
	d->keeper.fail_with = NULL;
	put_many(&d->spool, "fine", MANY, "audio");
	intake_daemon_await(d, all_committed, &(const struct many){"fine", MANY});
	assert_int_equal(count(&d->keeper, "refused", FAKE_FAILED), MANY);
}

static void the_brake_is_put_on_and_taken_off(void **state)
{
	struct brake brake = {0};
	int64_t now_us = 1000, last_us = 0;

	for (int i = 1; i < BRAKE_AFTER; i++)
		brake_failed(&brake, now_us);
	assert_true(brake_allows(&brake, 100, now_us));
	brake_failed(&brake, now_us);
	assert_false(brake_allows(&brake, 0, now_us));
	brake_failed(&brake, now_us + 1); /* was under way: no longer pause for it */
	assert_int_equal(brake.pause_us, BRAKE_FIRST_US);
	for (int i = 0; i < 20; i++) {
		now_us += brake.pause_us;
		assert_true(brake_allows(&brake, 0, now_us));
		assert_false(brake_allows(&brake, 1, now_us));
		brake_failed(&brake, now_us);
		assert_false(brake_allows(&brake, 0, now_us));
		assert_in_range(brake.pause_us, last_us, BRAKE_MAX_US);
		last_us = brake.pause_us;
	}
	assert_int_equal(last_us, BRAKE_MAX_US);
	brake_succeeded(&brake);
	assert_true(brake_allows(&brake, 100, now_us));
}

#define with(setup, test) cmocka_unit_test_setup_teardown(test, setup, intake_daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			with(setup_two, a_full_spool_does_not_crowd_out_another),
			with(setup_patient_judge, a_hanging_probe_holds_up_its_own_spool_only),
			with(setup_impatient_judge, files_that_all_hang_the_probe_are_sealed),
			with(setup_impatient_judge, whatever_the_probe_does_all_is_sealed),
			with(setup_two, large_ones_do_not_hold_up_small_ones),
			with(setup_two, small_ones_do_not_hold_up_large_ones),
			with(setup_two, a_file_that_grows_for_ever_is_left_to_its_writer),
			with(setup_two, a_storm_of_renames_loses_nothing),
			with(setup_two, a_failing_keeper_is_not_asked_for_every_file),
			with(setup_two, refusals_are_no_reason_to_wait),
			cmocka_unit_test(the_brake_is_put_on_and_taken_off),
	};
	struct rlimit files;

	/* The keeper of the test holds on to every object. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
