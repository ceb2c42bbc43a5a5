/* The sandbox holds: each attempt is made once without it, where it works (the negative control),
 * and once within, where it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/probe/sandbox.h"

enum outcome { WORKED, REFUSED, KILLED };

/* Attempts run in a child whose descriptors 0, 1, 2 and 5 are /dev/zero. True: it worked. */
static bool try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool try_create(void)
{
	return open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600) >= 0;
}

static bool try_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool try_execve(void)
{
	char name[] = "/bin/true";
	char *arguments[] = {name, NULL}, *environment[] = {NULL};

	execve(name, arguments, environment);
	return false;
}

static bool try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	siginfo_t info;
	return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED) == 0;
}

static bool try_write_stderr(void)
{
	return write(STDERR_FILENO, "x", 1) == 1;
}

static bool try_write_other(void)
{
	return write(5, "x", 1) == 1;
}

static bool try_duplicate(void)
{
	return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) >= 0;
}

static bool try_read_other(void)
{
	char byte;

	return pread(5, &byte, 1, 0) == 1;
}

static bool try_executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED;
}

static bool try_much_memory(void)
{
	return mmap(NULL, 2 * SANDBOX_MEMORY_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0) != MAP_FAILED;
}

static bool try_signal(void)
{
	return kill(getppid(), 0) == 0;
}

static bool try_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool try_sysinfo(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0;
}

/* What a judgement lives on. */
static bool try_needed(void)
{
	char byte;
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && munmap(p, 1 << 20) == 0 &&
	       pread(STDIN_FILENO, &byte, 1, 0) == 1 && write(STDOUT_FILENO, "x", 1) == 1;
}

static void prepare_descriptors(void)
{
	int fd = open("/dev/zero", O_RDWR);

	if (fd < 0)
		_exit(100);
	dup2(fd, 5);
	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(fd, i);
}

typedef int (*confinement)(const struct sandbox *sandbox);

static int confine_child(const struct sandbox *sandbox)
{
	return sandbox_enter_child(sandbox, 60);
}

static enum outcome attempt(bool (*try)(void), confinement confine, const struct sandbox *sandbox)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prepare_descriptors();
		if (confine && confine(sandbox) < 0)
			_exit(101);
		_exit(try() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	assert_in_range(WEXITSTATUS(status), 0, 1);
	return WEXITSTATUS(status) == 0 ? WORKED : REFUSED;
}

struct expectation {
	bool (*try)(void);
	enum outcome outcome;
	bool needs_filter; /* rather than limits and closed descriptors */
};

static void expect(const struct expectation *list, size_t n, confinement confine)
{
	_cleanup_(sandbox_free_p) struct sandbox *sandbox = NULL;

	assert_int_equal(sandbox_new(&sandbox), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(attempt(list[i].try, NULL, NULL), WORKED);
		if (!SANDBOX_RELAXED || !list[i].needs_filter)
			assert_int_equal(attempt(list[i].try, confine, sandbox), list[i].outcome);
	}
}

static void test_child(void **state)
{
	static const struct expectation list[] = {
			{try_needed, WORKED, false},
			{try_write_stderr, REFUSED, false},
			{try_write_other, REFUSED, false},
			{try_duplicate, REFUSED, false},
			{try_open, REFUSED, true},
			{try_create, REFUSED, true},
			{try_sysinfo, REFUSED, true},
			{try_much_memory, REFUSED, true},
			{try_socket, KILLED, true},
			{try_execve, KILLED, true},
			{try_fork, KILLED, true},
			{try_executable_memory, KILLED, true},
			{try_signal, KILLED, true},
			{try_prctl, KILLED, true},
			{try_read_other, KILLED, true},
	};

	expect(list, ELEMENTSOF(list), confine_child);
}

static void test_server(void **state)
{
	static const struct expectation list[] = {
			{try_needed, WORKED, false},
			{try_fork, WORKED, false},
			{try_open, REFUSED, true},
			{try_create, REFUSED, true},
			{try_socket, REFUSED, true},
			{try_execve, REFUSED, true},
			{try_executable_memory, REFUSED, true},
	};

	expect(list, ELEMENTSOF(list), sandbox_enter_server);
}

/* As it is in production: the child's confinement within the server's. */
static int confine_both(const struct sandbox *sandbox)
{
	int r = sandbox_enter_server(sandbox);

	return r < 0 ? r : confine_child(sandbox);
}

static void test_both(void **state)
{
	static const struct expectation list[] = {
			{try_needed, WORKED, false},
			{try_open, REFUSED, true},
			{try_socket, KILLED, true},
			{try_fork, KILLED, true},
	};

	expect(list, ELEMENTSOF(list), confine_both);
}

/* Starts a child that confines itself, says so on a pipe and stays. */
static pid_t start_confined(const struct sandbox *sandbox)
{
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		if (sandbox_enter_child(sandbox, 60) < 0 || write(STDOUT_FILENO, "x", 1) != 1)
			_exit(101);
		for (;;)
			;
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

/* A line of /proc/PID/status. */
static void expect_status(pid_t pid, const char *line)
{
	char path[64], text[8192];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	assert_non_null(strstr(text, line));
}

/* What cannot be asked from within, seen from outside. */
static void test_limits(void **state)
{
	_cleanup_(sandbox_free_p) struct sandbox *sandbox = NULL;
	static const struct {
		__rlimit_resource_t resource;
		rlim_t most;
	} limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_NOFILE, 2}, {RLIMIT_NPROC, 0},
			{RLIMIT_CPU, 60}, {RLIMIT_AS, SANDBOX_MEMORY_BYTES}};
	struct rlimit now;

	assert_int_equal(sandbox_new(&sandbox), 0);
	pid_t pid = start_confined(sandbox);
	for (size_t i = 0; i < ELEMENTSOF(limits) - SANDBOX_RELAXED; i++) {
		assert_int_equal(prlimit(pid, limits[i].resource, NULL, &now), 0);
		assert_true(now.rlim_max <= limits[i].most);
	}
	expect_status(pid, "\nNoNewPrivs:\t1\n");
	if (!SANDBOX_RELAXED)
		expect_status(pid, "\nSeccomp:\t2\n");
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_child),
			cmocka_unit_test(test_server),
			cmocka_unit_test(test_both),
			cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("probe_sandbox", tests, NULL, NULL);
}
