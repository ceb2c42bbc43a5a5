#include "daemon/probe/server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/socket.h"
#include "daemon/probe/child.h"

struct server {
	int socket_fd;
	const struct probe_judge *judge;
	struct child children[PROBE_JOBS_MAX];
};

/* The clock that no administrator sets: deadlines are spans. */
static int64_t read_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* Never blocks: PROBE_JOBS_MAX answers fit a socket's buffer many times over, so that a full one
 * means a client that does not read. */
static int send_answer(const struct server *server, const struct probe_result *result)
{
	uint8_t record[PROBE_RESULT_BYTES];

	probe_wire_encode_result(result, record);
	for (;;) {
		ssize_t n = send(server->socket_fd, record, sizeof(record),
				MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0 || errno != EINTR)
			return n < 0 ? -errno : 0;
	}
}

static struct child *find_free_child(struct server *server)
{
	for (size_t i = 0; i < PROBE_JOBS_MAX; i++) {
		if (server->children[i].pid == 0)
			return &server->children[i];
	}
	return NULL;
}

static int start_job(struct server *server, const uint8_t request[PROBE_REQUEST_BYTES], int file_fd)
{
	struct child *child = find_free_child(server);
	struct probe_result result;
	uint32_t job = get_le32(request), timeout_ms = get_le32(request + 4);
	int r = child_start(child, file_fd, job, timeout_ms, read_clock_us(), server->judge);

	if (r == 0)
		return 0;
	probe_wire_set_unprobed(&result, "probe could not start: %s", error_text(r));
	result.job = job;
	return send_answer(server, &result);
}

/* 0; 1 at the end of the stream. */
static int take_request(struct server *server)
{
	uint8_t request[PROBE_REQUEST_BYTES];
	struct socket_fds fds = {.count = 0};
	ssize_t n = socket_recv(server->socket_fd, request, sizeof(request), &fds);
	int r = -RE_PROTOCOL;

	if (n < 0)
		return (int)n;
	if (n == 0 && fds.count == 0)
		return 1;
	if (n == sizeof(request) && fds.count == 1)
		r = start_job(server, request, fds.fd[0]);
	socket_fds_close(&fds);
	return r;
}

static int finish_child(struct server *server, struct child *child)
{
	struct probe_result result;
	bool answered = child->answered;

	child_finish(child, &result);
	return answered ? 0 : send_answer(server, &result);
}

/* Answered at once: even a killed child may take its time to end, in a read that hangs. */
static int expire_child(struct server *server, struct child *child)
{
	struct probe_result result;

	child_kill(child);
	child->answered = true;
	probe_wire_set_unprobed(&result, "probe timed out");
	result.job = child->job;
	return send_answer(server, &result);
}

static int expire_children(struct server *server)
{
	int64_t now_us = read_clock_us();
	int r = 0;

	for (size_t i = 0; i < PROBE_JOBS_MAX && r == 0; i++) {
		struct child *child = &server->children[i];
		if (child->pid != 0 && !child->answered && now_us >= child->deadline_us)
			r = expire_child(server, child);
	}
	return r;
}

/* How long to wait, for poll(2): until the next deadline, rounded up. */
static int wait_ms(const struct server *server)
{
	int64_t now_us = read_clock_us(), next_us = INT64_MAX;

	for (size_t i = 0; i < PROBE_JOBS_MAX; i++) {
		const struct child *child = &server->children[i];
		if (child->pid != 0 && !child->answered && child->deadline_us < next_us)
			next_us = child->deadline_us;
	}
	if (next_us == INT64_MAX)
		return -1;
	if (next_us <= now_us)
		return 0;
	int64_t ms = (next_us - now_us + 999) / 1000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* One round: wait, reap, enforce the deadlines, take one request. 0; 1 at the end of the stream. */
static int serve_round(struct server *server)
{
	struct pollfd fds[PROBE_JOBS_MAX + 1];
	int r = 0;

	for (size_t i = 0; i < PROBE_JOBS_MAX; i++) {
		const struct child *child = &server->children[i];
		fds[i] = (struct pollfd){
				.fd = child->pid != 0 ? child->pid_fd : -1, .events = POLLIN};
	}
	/* With every entry taken only the end of the stream is watched for. */
	fds[PROBE_JOBS_MAX] = (struct pollfd){
			.fd = server->socket_fd, .events = find_free_child(server) ? POLLIN : 0};
	if (poll(fds, PROBE_JOBS_MAX + 1, wait_ms(server)) < 0)
		return errno == EINTR ? 0 : -errno;
	for (size_t i = 0; i < PROBE_JOBS_MAX && r == 0; i++) {
		if (fds[i].revents != 0)
			r = finish_child(server, &server->children[i]);
	}
	/* After the reaping: a child that ended just in time has its own answer. */
	if (r == 0)
		r = expire_children(server);
	if (r == 0 && fds[PROBE_JOBS_MAX].revents & (POLLHUP | POLLERR))
		return 1;
	if (r == 0 && fds[PROBE_JOBS_MAX].revents & POLLIN)
		r = take_request(server);
	return r;
}

static void kill_children(struct server *server)
{
	for (size_t i = 0; i < PROBE_JOBS_MAX; i++) {
		if (server->children[i].pid != 0)
			child_kill(&server->children[i]);
	}
}

int server_run(int socket_fd, const struct probe_judge *judge)
{
	struct server server = {.socket_fd = socket_fd, .judge = judge};
	int r;

	do
		r = serve_round(&server);
	while (r == 0);
	kill_children(&server);
	/* A client that is gone is no failure, however the loss showed. */
	return r == 1 || r == -EPIPE || r == -ECONNRESET ? 0 : r;
}
