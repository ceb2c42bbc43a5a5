/* One child of the probe server, from its fork to its answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/probe/judge.h"

struct child {
	pid_t pid; /* 0: this entry of the server's table is free */
	int pid_fd, pipe_fd;
	uint32_t job;
	bool answered; /* its time was over: it only remains to be reaped */
	int64_t deadline_us;
};

/* Starts the judge on the file; file_fd stays the caller's. -errno, and the entry stays free. */
int child_start(struct child *child, int file_fd, uint32_t job, unsigned timeout_ms, int64_t now_us,
		const struct probe_judge *judge);

/* Reaps a child that has ended (its pid_fd is readable), frees its entry and gives its result;
 * the job is the child's own whatever the record says. */
void child_finish(struct child *child, struct probe_result *ret_result);

/* SIGKILL. It still has to be reaped. */
void child_kill(const struct child *child);
