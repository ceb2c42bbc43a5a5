/* The intake's side of the probe: every job is answered exactly once, from the loop, whatever the
 * program does, or even when there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <linux/close_range.h>
#include <sndfile.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/intake/peers/probe_client.h"
#include "tests/unit/support/probe_files.h"
#include "tests/unit/support/probe_judge.h"

#define TEST_SERVER "./probe_judge_server"
#define LONG_US     INT64_C(3600000000)
#define SHORT_US    50000

struct fixture {
	uv_loop_t loop;
	struct probe_client *client;
	unsigned wanted, answered;
	bool may_answer; /* false while submitting: done must come later */
	bool stop_at_answer, submit_at_answer;
	struct probe_result last;
	int lent[256]; /* to the client, until all is answered */
	size_t n_lent;
};

static void start(struct fixture *fixture, const char *program, int64_t timeout_us)
{
	*fixture = (struct fixture){.answered = 0};
	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	assert_int_equal(probe_client_start(&fixture->loop, program, timeout_us, &fixture->client),
			0);
}

static void submit(struct fixture *fixture, char how);

static void on_done(void *context, const struct probe_result *result)
{
	struct fixture *fixture = context;

	assert_true(fixture->may_answer);
	fixture->answered++;
	fixture->last = *result;
	if (fixture->submit_at_answer) {
		fixture->submit_at_answer = false;
		submit(fixture, JUDGE_OK);
		fixture->may_answer = true;
	}
	if (fixture->stop_at_answer)
		fixture->client = probe_client_stop(fixture->client);
}

static void submit_fd(struct fixture *fixture, int fd)
{
	fixture->may_answer = false;
	assert_int_equal(probe_client_submit(fixture->client, fd, on_done, fixture), 0);
	fixture->wanted++;
}

static void submit(struct fixture *fixture, char how)
{
	int fd = file_of(&how, 1);

	assert_true(fixture->n_lent < ELEMENTSOF(fixture->lent));
	fixture->lent[fixture->n_lent++] = fd;
	submit_fd(fixture, fd);
}

static void take_back(struct fixture *fixture)
{
	while (fixture->n_lent > 0)
		close(fixture->lent[--fixture->n_lent]);
}

/* Runs the loop until everything submitted is answered. */
static void await(struct fixture *fixture)
{
	fixture->may_answer = true;
	while (fixture->answered < fixture->wanted)
		uv_run(&fixture->loop, UV_RUN_ONCE);
	take_back(fixture);
}

/* Stops, runs the loop dry, and expects no answer beyond those there were. */
static void finish(struct fixture *fixture)
{
	unsigned answered = fixture->answered;

	fixture->client = probe_client_stop(fixture->client);
	take_back(fixture);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	assert_int_equal(fixture->answered, answered);
}

static void expect(const struct fixture *fixture, const char *damage)
{
	assert_int_equal(fixture->answered, fixture->wanted);
	assert_string_equal(fixture->last.damage, damage);
	assert_string_equal(probe_wire_condition_name(fixture->last.condition),
			damage[0] ? "unprobed" : "ok");
}

static void test_many(void **state)
{
	struct fixture fixture;

	start(&fixture, TEST_SERVER, LONG_US);
	for (int i = 0; i < 200; i++)
		submit(&fixture, JUDGE_OK);
	await(&fixture);
	expect(&fixture, "");
	assert_string_equal(fixture.last.format, "test");
	finish(&fixture);
}

static void test_real(void **state)
{
	_cleanup_close_ int fd =
			file_written(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, WRITER_CLOSES);
	struct fixture fixture;

	start(&fixture, "./recseal-probe", LONG_US);
	submit_fd(&fixture, fd);
	await(&fixture);
	expect(&fixture, "");
	assert_string_equal(fixture.last.format, "flac");
	assert_int_equal(fixture.last.frames, 16000);
	finish(&fixture);
}

static void test_missing_program(void **state)
{
	struct fixture fixture;

	start(&fixture, "./no-such-program", LONG_US);
	submit(&fixture, JUDGE_OK);
	await(&fixture);
	expect(&fixture, "probe could not start: No such file or directory");
	for (int i = 0; i < 20; i++)
		submit(&fixture, JUDGE_OK);
	await(&fixture);
	assert_int_equal(fixture.last.condition, PROBE_UNPROBED);
	/* After some starts in vain the pause for the next is nobody's wait. */
	for (int i = 0; i < 50; i++) {
		submit(&fixture, JUDGE_OK);
		await(&fixture);
	}
	expect(&fixture, "probe is not running");
	finish(&fixture);
}

/* A program that runs and is no probe server. */
static void test_wrong_program(void **state)
{
	struct fixture fixture;

	start(&fixture, "/bin/false", LONG_US);
	for (int i = 0; i < 20; i++)
		submit(&fixture, JUDGE_OK);
	await(&fixture);
	assert_int_equal(fixture.last.condition, PROBE_UNPROBED);
	finish(&fixture);
}

static void test_hostile_file(void **state)
{
	static const struct {
		char how;
		const char *damage;
	} cases[] = {{JUDGE_CRASH, "probe crashed (signal 11)"},
			{JUDGE_GARBAGE, "probe answered nonsense"},
			{JUDGE_FLOOD, "probe answered nonsense"}, {JUDGE_OTHER_JOB, ""},
			{JUDGE_EXIT, "probe failed (exit status 9)"}};
	struct fixture fixture;

	start(&fixture, TEST_SERVER, LONG_US);
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		submit(&fixture, cases[i].how);
		await(&fixture);
		expect(&fixture, cases[i].damage);
	}
	finish(&fixture);
}

static void test_hang(void **state)
{
	struct fixture fixture;

	start(&fixture, TEST_SERVER, SHORT_US);
	for (int i = 0; i < PROBE_JOBS_MAX * 2; i++)
		submit(&fixture, i % 2 ? JUDGE_HANG : JUDGE_STOP);
	await(&fixture);
	expect(&fixture, "probe timed out");
	finish(&fixture);
}

/* The server itself dies, hangs or is subverted: its jobs are answered, and another takes over. */
static void lose_server(char how, int64_t timeout_us, const char *damage)
{
	struct fixture fixture;

	start(&fixture, TEST_SERVER, timeout_us);
	for (int round = 0; round < 2; round++) {
		submit(&fixture, how);
		await(&fixture);
		expect(&fixture, damage);
	}
	/* A slow machine may take longer than a short timeout even to be well. */
	submit(&fixture, JUDGE_OK);
	await(&fixture);
	if (timeout_us == LONG_US)
		expect(&fixture, "");
	finish(&fixture);
}

static void test_server_dies(void **state)
{
	lose_server(JUDGE_KILL_SERVER, LONG_US, "probe server died");
}

static void test_server_hangs(void **state)
{
	lose_server(JUDGE_STOP_SERVER, SHORT_US, "probe server does not answer");
}

static void test_server_talks_nonsense(void **state)
{
	lose_server(JUDGE_SPOIL_SERVER, LONG_US, "probe server answered nonsense");
}

/* Jobs that the dead server had, and jobs that still waited, are all answered. */
static void test_server_dies_among_many(void **state)
{
	struct fixture fixture;

	start(&fixture, TEST_SERVER, LONG_US);
	for (int i = 0; i < 40; i++)
		submit(&fixture, i == 3 ? JUDGE_KILL_SERVER : JUDGE_OK);
	await(&fixture);
	expect(&fixture, "");
	finish(&fixture);
}

/* With a server at work, all its places taken and a job behind them. */
static void test_stop_in_flight(void **state)
{
	struct fixture fixture;

	start(&fixture, TEST_SERVER, LONG_US);
	submit(&fixture, JUDGE_OK);
	await(&fixture);
	for (int i = 0; i < PROBE_JOBS_MAX; i++)
		submit(&fixture, JUDGE_HANG);
	submit(&fixture, JUDGE_OK);
	fixture.may_answer = true;
	uv_run(&fixture.loop, UV_RUN_NOWAIT);
	finish(&fixture);
	assert_int_equal(fixture.answered, 1);
}

static void test_stop_unused(void **state)
{
	struct fixture fixture;

	start(&fixture, TEST_SERVER, LONG_US);
	finish(&fixture);
	assert_null(probe_client_stop(NULL));
}

static void test_stop_at_answer(void **state)
{
	static const char *const programs[] = {TEST_SERVER, "./no-such-program", "/bin/false"};

	for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
		struct fixture fixture;
		start(&fixture, programs[i], LONG_US);
		fixture.stop_at_answer = true;
		for (int n = 0; n < PROBE_JOBS_MAX * 2; n++)
			submit(&fixture, JUDGE_OK);
		fixture.may_answer = true;
		while (fixture.client)
			uv_run(&fixture.loop, UV_RUN_ONCE);
		finish(&fixture);
		assert_int_equal(fixture.answered, 1);
	}
}

static void test_submit_at_answer(void **state)
{
	static const char *const programs[] = {TEST_SERVER, "./no-such-program"};

	for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
		struct fixture fixture;
		start(&fixture, programs[i], LONG_US);
		fixture.submit_at_answer = true;
		submit(&fixture, JUDGE_OK);
		await(&fixture);
		assert_int_equal(fixture.answered, 2);
		finish(&fixture);
	}
}

static void test_bad_arguments(void **state)
{
	struct fixture fixture;
	struct probe_client *none = NULL;

	start(&fixture, TEST_SERVER, LONG_US);
	assert_int_equal(probe_client_submit(fixture.client, -1, on_done, &fixture), -EBADF);
	assert_int_equal(probe_client_start(&fixture.loop, TEST_SERVER, 999, &none), -EINVAL);
	assert_null(none);
	finish(&fixture);
}

static unsigned count_descriptors(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static void test_no_descriptor_is_lost(void **state)
{
	unsigned before = count_descriptors();

	test_server_dies(state);
	test_missing_program(state);
	test_stop_in_flight(state);
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_many),
			cmocka_unit_test(test_real),
			cmocka_unit_test(test_missing_program),
			cmocka_unit_test(test_wrong_program),
			cmocka_unit_test(test_hostile_file),
			cmocka_unit_test(test_hang),
			cmocka_unit_test(test_server_dies),
			cmocka_unit_test(test_server_hangs),
			cmocka_unit_test(test_server_talks_nonsense),
			cmocka_unit_test(test_server_dies_among_many),
			cmocka_unit_test(test_stop_in_flight),
			cmocka_unit_test(test_stop_unused),
			cmocka_unit_test(test_stop_at_answer),
			cmocka_unit_test(test_submit_at_answer),
			cmocka_unit_test(test_bad_arguments),
			cmocka_unit_test(test_no_descriptor_is_lost),
	};

	/* What the test was started with is no fault of the client's. */
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	alarm(300); /* a job that is never answered is a failure, not a hang */
	return cmocka_run_group_tests_name("probe_client", tests, NULL, NULL);
}
