#include "daemon/probe/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

static void release_p(scmp_filter_ctx *context)
{
	if (*context)
		seccomp_release(*context);
}

static int add_calls(scmp_filter_ctx context, uint32_t action, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(context, action, calls[i], 0);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Writes the program to a memory file, the only way libseccomp 2.5 hands it out, and loads it. */
static int export_program(scmp_filter_ctx context, struct sock_fprog *ret_program)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	_cleanup_free_ struct sock_filter *code = NULL;
	off_t size;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(context, fd);
	if (r < 0)
		return r;
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || size > (off_t)(BPF_MAXINSNS * sizeof(*code)))
		return -E2BIG;
	code = malloc((size_t)size);
	if (!code)
		return -ENOMEM;
	if (pread(fd, code, (size_t)size, 0) != size)
		return -EIO;
	ret_program->len = (unsigned short)((size_t)size / sizeof(*code));
	ret_program->filter = TAKE_PTR(code);
	return 0;
}

/* Memory is anonymous and never executable. */
static int add_child_mmap(scmp_filter_ctx context)
{
	return seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}

/* Reads of fd 0 and writes to fd 1. libmpg123 prints warnings: other writes must fail, not kill. */
static int add_child_io(scmp_filter_ctx context)
{
	int r = seccomp_rule_add(
			context, SCMP_ACT_ALLOW, SCMP_SYS(pread64), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));

	if (r == 0)
		r = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
				SCMP_A0(SCMP_CMP_EQ, 1, 0));
	if (r == 0)
		r = seccomp_rule_add(context, SCMP_ACT_ERRNO(EBADF), SCMP_SYS(write), 1,
				SCMP_A0(SCMP_CMP_NE, 1, 0));
	return r;
}

static int add_child_rules(scmp_filter_ctx context)
{
	static const int allowed[] = {
			SCMP_SYS(brk),
			SCMP_SYS(munmap),
			SCMP_SYS(mremap),
			SCMP_SYS(madvise),
			SCMP_SYS(futex),
			SCMP_SYS(clock_gettime),
			SCMP_SYS(gettimeofday),
			SCMP_SYS(exit),
			SCMP_SYS(exit_group),
	};
	/* What libraries try and can do without: glibc's qsort() (sysinfo), libsndfile's resource
	 * forks (open), stdio (fstat, ioctl), malloc (getrandom, mprotect). */
	static const int denied[] = {
			SCMP_SYS(sysinfo),
			SCMP_SYS(open),
			SCMP_SYS(openat),
			SCMP_SYS(access),
			SCMP_SYS(readlink),
			SCMP_SYS(stat),
			SCMP_SYS(lstat),
			SCMP_SYS(fstat),
			SCMP_SYS(newfstatat),
			SCMP_SYS(statx),
			SCMP_SYS(lseek),
			SCMP_SYS(ioctl),
			SCMP_SYS(fcntl),
			SCMP_SYS(writev),
			SCMP_SYS(mprotect),
			SCMP_SYS(getrandom),
			SCMP_SYS(getpid),
			SCMP_SYS(uname),
			SCMP_SYS(sched_getaffinity),
	};
	int r = add_child_io(context);

	if (r == 0)
		r = add_child_mmap(context);
	if (r == 0)
		r = add_calls(context, SCMP_ACT_ALLOW, allowed, ELEMENTSOF(allowed));
	if (r == 0)
		r = add_calls(context, SCMP_ACT_ERRNO(EPERM), denied, ELEMENTSOF(denied));
	return r;
}

/* clone(2) as fork(2) uses it: no threads, no shared memory, no namespaces. */
static int add_server_fork(scmp_filter_ctx context)
{
	const scmp_datum_t harmless = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | 0xff;
	int r = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, ~harmless, 0));

	if (r == 0)
		r = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(fork), 0);
	/* Its flags are in memory, where no filter can see them: libc falls back to clone(2). */
	if (r == 0)
		r = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

static const int server_allowed[] = {
		/* Requests, answers and the children's pipes. */
		SCMP_SYS(recvmsg),
		SCMP_SYS(poll),
		SCMP_SYS(ppoll),
		SCMP_SYS(pipe2),
		SCMP_SYS(read),
		SCMP_SYS(pread64),
		SCMP_SYS(write),
		SCMP_SYS(close),
		SCMP_SYS(close_range),
		SCMP_SYS(dup2),
		SCMP_SYS(dup3),
		SCMP_SYS(fcntl),
		SCMP_SYS(fstat),
		SCMP_SYS(newfstatat),
		/* Children: starting, confining, killing and reaping them. */
		SCMP_SYS(pidfd_open),
		SCMP_SYS(pidfd_send_signal),
		SCMP_SYS(waitid),
		SCMP_SYS(getpid),
		SCMP_SYS(getppid),
		SCMP_SYS(gettid),
		SCMP_SYS(kill),
		SCMP_SYS(tgkill),
		SCMP_SYS(prctl),
		SCMP_SYS(prlimit64),
		SCMP_SYS(setrlimit),
		SCMP_SYS(seccomp),
		SCMP_SYS(set_robust_list),
		SCMP_SYS(rseq),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigreturn),
		/* What the C library needs. */
		SCMP_SYS(restart_syscall),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(gettimeofday),
		SCMP_SYS(getrandom),
		SCMP_SYS(futex),
		SCMP_SYS(brk),
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(madvise),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
};

static int add_server_rules(scmp_filter_ctx context)
{
	int r = add_server_fork(context);

	if (r == 0)
		r = add_child_mmap(context);
	/* Answers go where the socket leads, never to an address. */
	if (r == 0)
		r = seccomp_rule_add(context, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				SCMP_A4(SCMP_CMP_EQ, 0, 0));
	if (r == 0)
		r = add_calls(context, SCMP_ACT_ALLOW, server_allowed, ELEMENTSOF(server_allowed));
	return r;
}

static int build_program(uint32_t default_action, int (*add_rules)(scmp_filter_ctx context),
		struct sock_fprog *ret_program)
{
	_cleanup_(release_p) scmp_filter_ctx context = seccomp_init(default_action);
	int r;

	if (!context)
		return -ENOMEM;
	/* Calls of another architecture's table mean something else altogether. */
	r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = add_rules(context);
	if (r < 0)
		return r;
	return export_program(context, ret_program);
}

int filter_child(struct sock_fprog *ret_program)
{
	return build_program(SCMP_ACT_KILL_PROCESS, add_child_rules, ret_program);
}

int filter_server(struct sock_fprog *ret_program)
{
	return build_program(SCMP_ACT_ERRNO(EPERM), add_server_rules, ret_program);
}

int filter_install(const struct sock_fprog *program)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) < 0 ? -errno : 0;
}

void filter_free(struct sock_fprog *program)
{
	free(program->filter);
	*program = (struct sock_fprog){.len = 0};
}
