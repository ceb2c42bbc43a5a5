/* The intake's side of recseal-probe: what is in this file?
 *
 * Starts one probe server (see daemon/common/wire/probe_wire.h) with the socket as descriptor 3, an
 * empty environment and no other descriptor, and starts it again, after a pause that grows, when it
 * dies. Every answer is checked; whatever goes wrong (no program, crash, hang, nonsense) becomes an
 * `unprobed` result that says why in its damage text, so that a probe never holds a recording up.
 * Everything here runs on the loop's own thread. */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "daemon/common/wire/probe_wire.h"

struct probe_client;

/* program is the path of recseal-probe (copied); timeout_us is the time one file may take in the
 * sandbox, at least 1 ms. A program that cannot be started is no error here: results say so. On
 * success the caller ends it with probe_client_stop(). -EINVAL, -ENOMEM, -errno. */
int probe_client_start(uv_loop_t *loop, const char *program, int64_t timeout_us,
		struct probe_client **ret_client);

/* Starts the program now, not with the first file: a start waits for exec(2), which closes all
 * other open files, and closing those of a spool may hang. Best before there are any. */
void probe_client_prepare(struct probe_client *client);

/* Asks what is in the file. fd (open for reading; O_PATH will not do) is borrowed until done is
 * called, or the client is stopped. There is no duplicate: to close one may hang with the file's
 * filesystem. The probe reads with pread(2) only: the shared file position does not move.
 *
 * done is called exactly once, later, from the loop, never from within this call; it may submit
 * again or stop the client. The result is valid during the call only; its job field is the client's
 * own. PROBE_JOBS_MAX jobs run at once and the rest wait here, without a clock running for them.
 * -EBADF, -ENOMEM; then done is not called. */
typedef void (*probe_done)(void *context, const struct probe_result *result);
int probe_client_submit(struct probe_client *client, int fd, probe_done done, void *context);

/* Ends the server and closes the handles on the loop, which must run on for the memory to be freed.
 * Jobs in flight are forgotten: their done is never called. Takes NULL; returns NULL. */
struct probe_client *probe_client_stop(struct probe_client *client);
