/* The keeper's control interface (daemon/keeper/control/org.recseal.control.varlink), seen from a
 * client: its errors in words and exit codes. */
#pragma once

#include "base/reason.h"
#include "cli/exit.h"
#include "cli/varlink_client.h"

#define CONTROL_INTERFACE "org.recseal.control."

/* Connects; or prints what is wrong and what to do. */
enum cli_exit control_open(const char *path, struct varlink_client **ret_client);

/* Calls a method of the interface. CLI_DONE hands over a reply that is not an error; in every other
 * case the error has been printed. Takes the parameters over. */
enum cli_exit control_call(struct varlink_client *client, const char *method, json_t *parameters,
		struct varlink_reply *ret_reply);

/* The same with `more`. A page that stops the call with -ECANCELED has printed why itself:
 * CLI_ERROR. */
enum cli_exit control_call_more(struct varlink_client *client, const char *method,
		json_t *parameters, varlink_page page, void *context);

/* Why varlink_client_connect() failed with r, why a call did, and what an error reply means: for
 * callers that print it elsewhere. */
void control_explain_connect(const char *path, int r, struct reason *reason);
void control_explain_broken(int r, struct reason *reason);
void control_explain_error(const struct varlink_reply *reply, struct reason *reason);

/* The exit code of an error reply. */
enum cli_exit control_error_exit(const struct varlink_reply *reply);

/* Prints that a reply lacks what the interface promises; always CLI_ERROR. */
enum cli_exit control_nonsense(const char *method);
