/* A Varlink server of a small test interface, org.example.test, and a client of it.
 *
 * Methods: Echo; Big (a long reply); Fd (a reply of `bytes` with a memfd that holds `word`); Stream
 * (`pieces` of `bytes`); Look (answers after `looks`, each logged as `mark`); Forgetful (never answers); NoMemory (fails to make its reply). */
#pragma once

#include "daemon/keeper/varlink/varlink.h"
#include "daemon/keeper/varlink/varlink_io.h"
#include "tests/unit/support/loop_client.h"

#define REQUEST_BYTES 4096

struct fixture {
	uv_loop_t loop;
	struct varlink_server *server;
	struct varlink_service service;
	char dir[32], path[64];
	struct client client;
	unsigned calls, pieces, streams_freed;
	unsigned next_lane; /* of connections that are accepted from now on */
	char looks[4096];
	size_t n_looks;
};

int varlink_fixture_setup(void **state);
int varlink_fixture_teardown(void **state);
#define WITH_SERVER(test)                                                                          \
	cmocka_unit_test_setup_teardown(test, varlink_fixture_setup, varlink_fixture_teardown)

void start_server(struct fixture *f, const struct varlink_limits *limits_or_null);
void stop_server(struct fixture *f);
/* Puts a server with other limits in its place. */
void restart_server(struct fixture *f, const struct varlink_limits *limits);

void send_echo(struct client *client, int n);
void assert_echo(struct client *client, int expected);
/* That a new connection is served. */
void assert_serving(struct fixture *f);
/* That a reply is this error, and has this parameter (NULL: any). Consumes the reply. */
void assert_error(json_t *reply, const char *name, const char *key, const char *value);
