/* The connection of a running command. Connection and reply are freed when their scope ends. */
#pragma once

#include "cli/command.h"
#include "cli/control.h"

static inline void varlink_client_free_p(struct varlink_client **client)
{
	varlink_client_free(*client);
}
#define _cleanup_client_ __attribute__((cleanup(varlink_client_free_p)))
#define _cleanup_reply_  __attribute__((cleanup(varlink_client_reply_clear)))

/* Connects to the socket that the options name. Errors are printed. */
static inline enum cli_exit session_open(
		const struct arguments *arguments, struct varlink_client **ret_client)
{
	return control_open(options_socket(arguments->options), ret_client);
}
