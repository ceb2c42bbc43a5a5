/* One run of the probe server under a libuv loop: the process, its socket and their end. */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "daemon/common/wire/probe_wire.h"

struct probe_process;

struct probe_process_events {
	void (*readable)(void *context); /* answers may be waiting, or the server has died */
	void (*freed)(void *context);    /* all handles are closed; the last event of a process */
	void *context;
};

/* Starts the program with a SOCK_SEQPACKET socket as descriptor 3, an empty environment, 0 to 2 on
 * /dev/null and nothing else. On failure, -errno, there are no events; the loop must run on for the
 * memory to be freed. */
int probe_process_start(uv_loop_t *loop, const char *program,
		const struct probe_process_events *events, struct probe_process **ret_process);

/* Sends a request, with the file beside it. 0; -EAGAIN when the socket is full; -errno. */
int probe_process_send(
		struct probe_process *process, uint32_t job, uint32_t timeout_ms, int file_fd);

/* One answer. 0; -EAGAIN when there is none; -ECONNRESET when the server has died; -RE_PROTOCOL. */
int probe_process_receive(struct probe_process *process, struct probe_result *ret_result);

/* Kills the server (its children end with it), reaps it and closes the handles on the loop; frees
 * itself when that is done. Takes NULL; returns NULL. */
struct probe_process *probe_process_end(struct probe_process *process);
