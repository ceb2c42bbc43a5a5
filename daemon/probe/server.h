/* The probe server: one child process per file, never wedged by any of them. */
#pragma once

#include "daemon/common/wire/probe_wire.h"

/* What a child does with its file: runs in the child, with the file as descriptor 0, and may end
 * the process in any way. A negative return says that the child could not confine itself, and
 * nothing was read. timeout_ms is when the server will kill it. */
struct probe_judge {
	int (*judge)(void *context, unsigned timeout_ms, struct probe_result *ret_result);
	void *context;
};

/* Serves requests from the socket (see probe_wire.h) until its other end closes, then kills the
 * children and returns 0. At most PROBE_JOBS_MAX run at once; further requests wait in the socket.
 * A job is answered as soon as its child has ended or its time is over. -RE_PROTOCOL for a
 * malformed request, -errno when the socket fails; the children are killed then, too. */
int probe_server_run(int socket_fd, const struct probe_judge *judge);
