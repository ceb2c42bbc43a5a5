/* The control socket: Varlink, org.recseal.control. */
#pragma once

#include <uv.h>

#include "daemon/keeper/intake_server.h"
#include "daemon/keeper/vault.h"

struct control;

/* Serves on a listening SOCK_STREAM socket, which it takes over. intake is asked for status and may
 * be NULL. */
int control_start(uv_loop_t *loop, struct vault *vault, struct intake_server *intake, int listen_fd,
        struct control **ret_control);
struct control *control_stop(struct control *control);
