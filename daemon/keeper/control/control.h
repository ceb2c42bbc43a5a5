/* The control socket: Varlink, org.recseal.control. */
#pragma once

#include <uv.h>

#include "daemon/keeper/ingest/intake_server.h"
#include "daemon/keeper/open/vault.h"

struct control;

/* Serves on a listening SOCK_STREAM socket, which it takes over (closed also on failure). intake is
 * asked for status and may be NULL. Who may call what: root and the keeper's own user everything;
 * everybody else by the configured groups, looked up now; a group that does not exist helps nobody.
 */
int control_start(uv_loop_t *loop, struct vault *vault, struct intake_server *intake, int listen_fd,
		struct control **ret_control);
/* Memory goes when the loop has run the close callbacks. Takes NULL; returns NULL. */
struct control *control_stop(struct control *control);
