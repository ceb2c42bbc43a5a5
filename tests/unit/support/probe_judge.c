#include "tests/unit/support/probe_judge.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/probe/sandbox.h"

static void crash(void)
{
	signal(SIGSEGV, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	raise(SIGSEGV);
}

static void flood(void)
{
	static uint8_t noise[65536];

	for (int i = 0; i < 16; i++) {
		if (write(STDOUT_FILENO, noise, sizeof(noise)) < 0)
			break;
	}
	_exit(0);
}

static void eat_memory(void)
{
	const size_t piece = 1 << 20;
	struct sandbox *sandbox;

	if (sandbox_new(&sandbox) < 0 || sandbox_enter_child(sandbox, 60) < 0)
		_exit(7);
	for (;;) {
		void *p = malloc(piece);
		if (!p)
			abort();
		memset(p, 1, piece);
		__asm__ volatile("" ::"r"(p) : "memory"); /* or clang takes none at all */
	}
}

static void write_noise(int fd)
{
	uint8_t noise[PROBE_RESULT_BYTES];

	memset(noise, 0x5a, sizeof(noise));
	_exit(write(fd, noise, sizeof(noise)) == sizeof(noise) ? 0 : 8);
}

static void answer_for_other_job(struct probe_result *result)
{
	uint8_t record[PROBE_RESULT_BYTES];

	result->job = 0x7fffffff;
	probe_wire_encode_result(result, record);
	_exit(write(STDOUT_FILENO, record, sizeof(record)) == sizeof(record) ? 0 : 8);
}

static void hang(void)
{
	for (;;)
		pause();
}

static void misbehave(char how, struct probe_result *result)
{
	switch (how) {
	case JUDGE_HANG:
		hang();
		break;
	case JUDGE_SPIN:
		for (;;)
			__asm__ volatile("");
	case JUDGE_STOP:
		raise(SIGSTOP);
		break;
	case JUDGE_CRASH:
		crash();
		break;
	case JUDGE_MEMORY:
		eat_memory();
		break;
	case JUDGE_GARBAGE:
		write_noise(STDOUT_FILENO);
		break;
	case JUDGE_FLOOD:
		flood();
		break;
	case JUDGE_SILENT:
		_exit(0);
	case JUDGE_EXIT:
		_exit(9);
	case JUDGE_OTHER_JOB:
		answer_for_other_job(result);
		break;
	case JUDGE_KILL_SERVER:
		kill(getppid(), SIGKILL);
		hang();
		break;
	case JUDGE_STOP_SERVER:
		kill(getppid(), SIGSTOP);
		hang();
		break;
	case JUDGE_SPOIL_SERVER:
		write_noise(PROBE_SOCKET_FD);
		break;
	}
}

int probe_test_judge(void *context, unsigned timeout_ms, struct probe_result *ret_result)
{
	char how = 0;

	*ret_result = (struct probe_result){.condition = PROBE_OK, .channels = 1, .format = "test"};
	if (pread(STDIN_FILENO, &how, 1, 0) != 1)
		return -1;
	if (how == JUDGE_UNCONFINED)
		return -1;
	misbehave(how, ret_result);
	return 0;
}
