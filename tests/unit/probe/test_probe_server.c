/* The probe server: whatever a child does, its job is answered once and the server serves on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <fcntl.h>
#include <poll.h>
#include <sndfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/socket.h"
#include "daemon/probe/sandbox.h"
#include "daemon/probe/server.h"
#include "tests/unit/support/probe_files.h"
#include "tests/unit/support/probe_judge.h"

#define LONG_MS  3600000 /* never reached, however slow the machine */
#define SHORT_MS 50      /* always reached, by a child that never ends */

struct fixture {
	pid_t pid;
	int socket_fd;
	int alive_fd; /* reads end of file once the server and all its children are gone */
};

static void start(struct fixture *fixture, void (*serve)(int socket_fd))
{
	int sockets[2], alive[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(pipe(alive), 0);
	fixture->pid = fork();
	assert_true(fixture->pid >= 0);
	if (fixture->pid == 0) {
		close(sockets[0]);
		close(alive[0]);
		/* The children know the client's socket by its number. */
		if (sockets[1] != PROBE_SOCKET_FD && dup2(sockets[1], PROBE_SOCKET_FD) < 0)
			_exit(100);
		serve(PROBE_SOCKET_FD);
	}
	close(sockets[1]);
	close(alive[1]);
	fixture->socket_fd = sockets[0];
	fixture->alive_fd = alive[0];
}

static void serve_test_judge(int socket_fd)
{
	_exit(server_run(socket_fd, &(struct probe_judge){probe_test_judge, NULL}) < 0);
}

static void serve_real(int socket_fd)
{
	char name[] = "./recseal-probe";
	char *arguments[] = {name, NULL}, *environment[] = {NULL};

	fcntl(socket_fd, F_SETFD, 0);
	execve(name, arguments, environment);
	_exit(100);
}

/* Closes the socket and expects the server to end, with this status, and every child with it. */
static void finish(struct fixture *fixture, int exit_status)
{
	int status;
	char byte;

	close(fixture->socket_fd);
	assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), exit_status);
	assert_int_equal(read(fixture->alive_fd, &byte, 1), 0);
	close(fixture->alive_fd);
}

static void ask_fd(const struct fixture *fixture, uint32_t job, uint32_t timeout_ms, int fd)
{
	uint8_t request[PROBE_REQUEST_BYTES];
	struct socket_fds fds = {.fd = {fd}, .count = 1};

	put_le32(request, job);
	put_le32(request + 4, timeout_ms);
	assert_int_equal(socket_send(fixture->socket_fd, request, sizeof(request), &fds),
			sizeof(request));
}

static void ask(const struct fixture *fixture, uint32_t job, uint32_t timeout_ms, char how)
{
	_cleanup_close_ int fd = file_of(&how, 1);

	ask_fd(fixture, job, timeout_ms, fd);
}

static struct probe_result hear(const struct fixture *fixture)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct socket_fds fds;
	struct probe_result result;

	assert_int_equal(socket_recv(fixture->socket_fd, record, sizeof(record), &fds),
			sizeof(record));
	assert_int_equal(fds.count, 0);
	assert_int_equal(probe_wire_decode_result(record, &result), 0);
	return result;
}

static void expect(const struct fixture *fixture, uint32_t job, const char *damage)
{
	struct probe_result result = hear(fixture);

	assert_int_equal(result.job, job);
	assert_string_equal(result.damage, damage);
	assert_string_equal(
			probe_wire_condition_name(result.condition), damage[0] ? "unprobed" : "ok");
}

static const struct {
	char how;
	uint32_t timeout_ms;
	const char *damage;
} cases[] = {
		{JUDGE_OK, LONG_MS, ""},
		{JUDGE_HANG, SHORT_MS, "probe timed out"},
		{JUDGE_SPIN, SHORT_MS, "probe timed out"},
		{JUDGE_STOP, SHORT_MS, "probe timed out"},
		{JUDGE_CRASH, LONG_MS, "probe crashed (signal 11)"},
		{JUDGE_GARBAGE, LONG_MS, "probe answered nonsense"},
		{JUDGE_FLOOD, LONG_MS, "probe answered nonsense"},
		{JUDGE_SILENT, LONG_MS, "probe answered nonsense"},
		{JUDGE_EXIT, LONG_MS, "probe failed (exit status 9)"},
		{JUDGE_UNCONFINED, LONG_MS, "probe could not confine itself"},
		{JUDGE_OTHER_JOB, LONG_MS, ""},
};

/* One after another through one server, which must be none the worse after each. */
static void test_misbehaviour(void **state)
{
	struct fixture fixture;

	start(&fixture, serve_test_judge);
	for (uint32_t i = 0; i < ELEMENTSOF(cases); i++) {
		ask(&fixture, i + 100, cases[i].timeout_ms, cases[i].how);
		expect(&fixture, i + 100, cases[i].damage);
	}
	ask(&fixture, 1, LONG_MS, JUDGE_OK);
	expect(&fixture, 1, "");
	finish(&fixture, 0);
}

/* The filter forbids even abort(): SIGSYS instead of SIGABRT. */
static void test_memory_bomb(void **state)
{
	struct fixture fixture;

	if (SANDBOX_RELAXED)
		skip();
	start(&fixture, serve_test_judge);
	ask(&fixture, 5, LONG_MS, JUDGE_MEMORY);
	expect(&fixture, 5, "probe crashed (signal 31)");
	finish(&fixture, 0);
}

static bool readable(int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

/* All places hang: the next request waits, and is served when their time is over. */
static void test_full(void **state)
{
	struct fixture fixture;
	bool seen[PROBE_JOBS_MAX] = {false};

	start(&fixture, serve_test_judge);
	for (uint32_t i = 0; i < PROBE_JOBS_MAX; i++)
		ask(&fixture, i, 400, JUDGE_HANG);
	ask(&fixture, 99, LONG_MS, JUDGE_OK);
	for (unsigned i = 0; i < PROBE_JOBS_MAX + 1; i++) {
		struct probe_result result = hear(&fixture);
		if (result.job == 99) {
			assert_true(i > 0); /* not before a place was free */
			assert_int_equal(result.condition, PROBE_OK);
			continue;
		}
		assert_string_equal(result.damage, "probe timed out");
		assert_in_range(result.job, 0, PROBE_JOBS_MAX - 1);
		assert_false(seen[result.job]);
		seen[result.job] = true;
	}
	assert_false(readable(fixture.socket_fd));
	finish(&fixture, 0);
}

/* Children that would never end die with the server's socket; also when every place is taken. */
static void test_end_kills(void **state)
{
	static const unsigned counts[] = {1, PROBE_JOBS_MAX, PROBE_JOBS_MAX + 3};

	for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
		struct fixture fixture;
		start(&fixture, serve_test_judge);
		for (uint32_t job = 0; job < counts[i]; job++)
			ask(&fixture, job, LONG_MS, JUDGE_HANG);
		/* One that stops itself must be killed as well. */
		ask(&fixture, 1000, LONG_MS, JUDGE_STOP);
		finish(&fixture, 0);
	}
}

static void expect_refusal(const void *request, size_t len, size_t n_fds)
{
	struct fixture fixture;
	struct socket_fds fds = {.fd = {0, 0}, .count = n_fds};

	start(&fixture, serve_test_judge);
	assert_int_equal(socket_send(fixture.socket_fd, request, len, &fds), (ssize_t)len);
	/* The server gives up by itself. */
	assert_true(poll(&(struct pollfd){.fd = fixture.socket_fd, .events = POLLIN}, 1, -1) == 1);
	finish(&fixture, 1);
}

static void test_malformed_requests(void **state)
{
	static const uint8_t request[64];

	expect_refusal(request, PROBE_REQUEST_BYTES, 0);
	expect_refusal(request, PROBE_REQUEST_BYTES, 2);
	expect_refusal(request, PROBE_REQUEST_BYTES - 1, 1);
	expect_refusal(request, sizeof(request), 1);
}

/* The program itself, sandbox and all. */
static void test_real(void **state)
{
	_cleanup_close_ int wav =
			file_written(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, WRITER_CLOSES);
	_cleanup_close_ int dead =
			file_written(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, WRITER_DIES);
	_cleanup_close_ int dir = open("/", O_RDONLY | O_CLOEXEC);
	struct probe_result result;
	struct fixture fixture;

	start(&fixture, serve_real);
	ask_fd(&fixture, 1, LONG_MS, wav);
	result = hear(&fixture);
	assert_string_equal(result.format, "wav/pcm_s16le");
	assert_int_equal(result.condition, PROBE_OK);
	assert_int_equal(result.frames, 16000);
	ask_fd(&fixture, 2, LONG_MS, dead);
	result = hear(&fixture);
	assert_int_equal(result.condition, PROBE_DAMAGED);
	assert_int_equal(result.frames, 16000);
	ask_fd(&fixture, 3, LONG_MS, dir);
	assert_int_equal(hear(&fixture).condition, PROBE_UNPROBED);
	finish(&fixture, 0);
}

/* Every codec's path through libsndfile gets by with what the filter allows, the warnings that
 * libmpg123 prints about a cut file included. */
static void test_real_formats(void **state)
{
	static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_GSM610,
			SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM,
			SF_FORMAT_RF64 | SF_FORMAT_FLOAT, SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
			SF_FORMAT_CAF | SF_FORMAT_ALAC_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
			SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_OGG | SF_FORMAT_OPUS,
			SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III};
	struct fixture fixture;

	start(&fixture, serve_real);
	for (uint32_t i = 0; i < ELEMENTSOF(formats); i++) {
		_cleanup_close_ int fd = file_written(formats[i], 160000, WRITER_CLOSES);
		ask_fd(&fixture, i, LONG_MS, fd);
		assert_int_equal(hear(&fixture).condition, PROBE_OK);
		assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) / 2), 0);
		ask_fd(&fixture, i, LONG_MS, fd);
		struct probe_result result = hear(&fixture);
		assert_null(strstr(result.damage, "probe"));
	}
	finish(&fixture, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_misbehaviour),
			cmocka_unit_test(test_memory_bomb),
			cmocka_unit_test(test_full),
			cmocka_unit_test(test_end_kills),
			cmocka_unit_test(test_malformed_requests),
			cmocka_unit_test(test_real),
			cmocka_unit_test(test_real_formats),
	};

	alarm(300); /* a wedged server is a failure, not a hang */
	return cmocka_run_group_tests_name("probe_server", tests, NULL, NULL);
}
