/* A judge that misbehaves as the first byte of its file says, in place of the real one: for tests
 * of the server and the client. */
#pragma once

#include "daemon/probe/server.h"

enum misbehaviour {
	JUDGE_OK = 'k',         /* answers "test", one channel */
	JUDGE_HANG = 'h',       /* sleeps for ever */
	JUDGE_SPIN = 'l',       /* loops for ever */
	JUDGE_STOP = 's',       /* stops itself */
	JUDGE_CRASH = 'c',      /* SIGSEGV */
	JUDGE_MEMORY = 'm',     /* in the sandbox, takes all the memory it can, then crashes */
	JUDGE_GARBAGE = 'g',    /* a record of noise */
	JUDGE_FLOOD = 'f',      /* more than a record, more than a pipe holds */
	JUDGE_SILENT = 'e',     /* ends well without a word */
	JUDGE_EXIT = 'x',       /* exit status 9 */
	JUDGE_UNCONFINED = 'u', /* reports that it could not confine itself */
	JUDGE_OTHER_JOB = 'j',  /* a good record, under another job's number */
	JUDGE_KILL_SERVER = 'K',
	JUDGE_STOP_SERVER = 'S',
	JUDGE_SPOIL_SERVER = 'N', /* writes noise to the client in the server's place */
};

/* For a struct probe_judge; context is not used. */
int probe_test_judge(void *context, unsigned timeout_ms, struct probe_result *ret_result);
