/* The probe server: one child process per file, never wedged by any of them. */
#pragma once

#include "daemon/probe/judge.h"

/* Serves requests from the socket (see probe_wire.h) until its other end closes, then kills the
 * children and returns 0. At most PROBE_JOBS_MAX run at once; further requests wait in the socket.
 * A job is answered as soon as its child has ended or its time is over. -RE_PROTOCOL for a
 * malformed request, -errno when the socket fails; the children are killed then, too. */
int server_run(int socket_fd, const struct probe_judge *judge);
