/* The keeper's control interface (daemon/keeper/control/org.recseal.control.varlink), seen from a
 * client: its errors in words and exit codes. */
#pragma once

#include "cli/exit.h"
#include "cli/varlink_client.h"

#define CONTROL_INTERFACE "org.recseal.control."

/* Connects; or tells what is wrong and what to do. */
enum cli_exit control_open(const char *path, struct varlink_client **ret_client);

/* Calls a method of the interface; CLI_DONE hands over a reply that is not an error. Everything
 * else is told on stderr. Takes the parameters over. */
enum cli_exit control_call(struct varlink_client *client, const char *method, json_t *parameters,
		struct varlink_reply *ret_reply);

/* The same with `more`. A page that stops the call with -ECANCELED has told why itself:
 * CLI_ERROR. */
enum cli_exit control_call_more(struct varlink_client *client, const char *method,
		json_t *parameters, varlink_page page, void *context);

/* What control_open() and control_call() would tell, for callers that tell it elsewhere: a string
 * to free(), or NULL when out of memory. */
char *control_connect_problem(const char *path, int r);
char *control_broken_problem(int r);
char *control_error_problem(const struct varlink_reply *reply);

/* The exit code of an error reply. */
enum cli_exit control_error_exit(const struct varlink_reply *reply);

/* Tells that a reply lacks what the interface promises; always CLI_ERROR. */
enum cli_exit control_nonsense(const char *method);
