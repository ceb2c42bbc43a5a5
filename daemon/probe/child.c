#include "daemon/probe/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Exit status of a child that would not read a byte unconfined. */
#define EXIT_UNCONFINED 3

/* In the child. Ends the process; _exit(), because the parent's stdio and atexit are not ours. */
__attribute__((noreturn)) static void child_main(pid_t server, int file_fd, int pipe_fd,
		unsigned timeout_ms, const struct probe_judge *judge)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result;

	/* The server may have died before the first call: then nobody is left to kill us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != server)
		_exit(EXIT_UNCONFINED);
	if (dup2(file_fd, STDIN_FILENO) < 0 || dup2(pipe_fd, STDOUT_FILENO) < 0)
		_exit(EXIT_UNCONFINED);
	if (judge->judge(judge->context, timeout_ms, &result) < 0)
		_exit(EXIT_UNCONFINED);
	probe_wire_encode_result(&result, record);
	_exit(write(STDOUT_FILENO, record, sizeof(record)) == sizeof(record) ? 0 : 1);
}

static void child_reap(pid_t pid, siginfo_t *ret_info)
{
	while (waitid(P_PID, (id_t)pid, ret_info, WEXITED) < 0 && errno == EINTR)
		;
}

int child_start(struct child *child, int file_fd, uint32_t job, unsigned timeout_ms, int64_t now_us,
		const struct probe_judge *judge)
{
	_cleanup_close_ int read_fd = -1, write_fd = -1;
	pid_t server = getpid(), pid;
	siginfo_t info;
	int pipe_fds[2], pid_fd, r;

	/* The server must not wait for a child that writes nothing, nor a child for the server. */
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	read_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_main(server, file_fd, write_fd, timeout_ms, judge);
	pid_fd = pidfd_open(pid, 0);
	if (pid_fd < 0) {
		/* Nothing would say when it ends. */
		r = -errno;
		kill(pid, SIGKILL);
		child_reap(pid, &info);
		return r;
	}
	*child = (struct child){
			.pid = pid,
			.pid_fd = pid_fd,
			.pipe_fd = TAKE_FD(read_fd),
			.job = job,
			.deadline_us = now_us + (int64_t)timeout_ms * 1000,
	};
	return 0;
}

/* The record, if exactly one is in the pipe, which never blocks. */
static int child_read(const struct child *child, struct probe_result *ret_result)
{
	uint8_t record[PROBE_RESULT_BYTES + 1];
	size_t len = 0;

	while (len < sizeof(record)) {
		ssize_t n = read(child->pipe_fd, record + len, sizeof(record) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (len != PROBE_RESULT_BYTES)
		return -EBADMSG;
	return probe_wire_decode_result(record, ret_result);
}

static void child_conclude(
		const struct child *child, const siginfo_t *info, struct probe_result *ret_result)
{
	if (info->si_code != CLD_EXITED)
		probe_wire_set_unprobed(ret_result, "probe crashed (signal %d)", info->si_status);
	else if (info->si_status == EXIT_UNCONFINED)
		probe_wire_set_unprobed(ret_result, "probe could not confine itself");
	else if (info->si_status != 0)
		probe_wire_set_unprobed(
				ret_result, "probe failed (exit status %d)", info->si_status);
	else if (child_read(child, ret_result) < 0)
		probe_wire_set_unprobed(ret_result, "probe answered nonsense");
}

void child_finish(struct child *child, struct probe_result *ret_result)
{
	siginfo_t info = {.si_code = CLD_KILLED};

	child_reap(child->pid, &info);
	child_conclude(child, &info, ret_result);
	ret_result->job = child->job;
	close(child->pid_fd);
	close(child->pipe_fd);
	*child = (struct child){.pid = 0};
}

void child_kill(const struct child *child)
{
	/* It may have ended already. */
	(void)pidfd_send_signal(child->pid_fd, SIGKILL, NULL, 0);
}
