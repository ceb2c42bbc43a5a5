#include "daemon/intake/peers/probe_process.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/socket.h"

struct probe_process {
	uv_process_t process;
	uv_poll_t poll;
	int socket_fd;
	unsigned open_handles;
	bool watched, exited;
	struct probe_process_events events; /* freed: NULL when the start failed */
};

static void on_closed(uv_handle_t *handle)
{
	struct probe_process *process = handle->data;
	struct probe_process_events events = process->events;

	if (--process->open_handles > 0)
		return;
	close_p(&process->socket_fd);
	free(process);
	if (events.freed)
		events.freed(events.context);
}

/* The death of a server also shows on its socket: that is where it is acted upon. */
static void on_exit_status(uv_process_t *handle, int64_t status, int signal)
{
	struct probe_process *process = handle->data;

	process->exited = true;
	uv_close((uv_handle_t *)handle, on_closed);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	const struct probe_process *process = poll->data;

	process->events.readable(process->events.context);
}

static int spawn(struct probe_process *process, uv_loop_t *loop, char *program, int server_fd)
{
	uv_stdio_container_t stdio[PROBE_SOCKET_FD + 1] = {
			{.flags = UV_IGNORE},
			{.flags = UV_IGNORE},
			{.flags = UV_IGNORE},
			{.flags = UV_INHERIT_FD, .data.fd = server_fd},
	};
	char *arguments[] = {program, NULL}, *environment[] = {NULL};
	uv_process_options_t options = {
			.exit_cb = on_exit_status,
			.file = program,
			.args = arguments,
			.env = environment,
			.stdio_count = ELEMENTSOF(stdio),
			.stdio = stdio,
	};
	int r;

	process->process.data = process;
	process->open_handles++;
	r = uv_spawn(loop, &process->process, &options);
	/* A handle that never became a process must be closed all the same. */
	if (r < 0) {
		process->exited = true;
		uv_close((uv_handle_t *)&process->process, on_closed);
	}
	return r;
}

static int watch(struct probe_process *process, uv_loop_t *loop)
{
	int r = uv_poll_init(loop, &process->poll, process->socket_fd);

	if (r < 0)
		return r;
	process->poll.data = process;
	process->open_handles++;
	process->watched = true;
	return uv_poll_start(&process->poll, UV_READABLE, on_poll);
}

int probe_process_start(uv_loop_t *loop, const char *program,
		const struct probe_process_events *events, struct probe_process **ret_process)
{
	_cleanup_close_ int server_fd = -1;
	_cleanup_free_ char *name = strdup(program);
	struct probe_process *process = NULL;
	int fds[2], r;

	if (!name || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	server_fd = fds[1];
	process = calloc(1, sizeof(*process));
	if (!process) {
		close(fds[0]);
		return -ENOMEM;
	}
	process->socket_fd = fds[0];
	r = spawn(process, loop, name, server_fd);
	if (r == 0)
		r = watch(process, loop);
	if (r < 0) {
		probe_process_end(process);
		return r;
	}
	process->events = *events;
	*ret_process = process;
	return 0;
}

struct probe_process *probe_process_end(struct probe_process *process)
{
	if (!process)
		return NULL;
	if (process->watched)
		uv_close((uv_handle_t *)&process->poll, on_closed);
	/* Its exit closes the other handle. */
	if (!process->exited)
		uv_process_kill(&process->process, SIGKILL);
	return NULL;
}

int probe_process_send(
		struct probe_process *process, uint32_t job, uint32_t timeout_ms, int file_fd)
{
	uint8_t request[PROBE_REQUEST_BYTES];
	const struct socket_fds fds = {.fd = {file_fd}, .count = 1};

	put_le32(request, job);
	put_le32(request + 4, timeout_ms);
	ssize_t n = socket_send(process->socket_fd, request, sizeof(request), &fds);
	return n < 0 ? (int)n : 0;
}

int probe_process_receive(struct probe_process *process, struct probe_result *ret_result)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct socket_fds fds = {.count = 0};
	ssize_t n = socket_recv(process->socket_fd, record, sizeof(record), &fds);
	bool unasked = fds.count > 0;

	if (n < 0)
		return (int)n;
	socket_fds_close(&fds);
	if (n == 0 && !unasked)
		return -ECONNRESET;
	if (n != sizeof(record) || unasked)
		return -RE_PROTOCOL;
	return probe_wire_decode_result(record, ret_result);
}
