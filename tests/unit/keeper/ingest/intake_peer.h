/* An intake for tests of the keeper's end of the wire: on a real socket, in the server's own
 * thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "base/socket.h"
#include "crypto/age_stream.h"
#include "daemon/keeper/ingest/intake_server.h"
#include "tests/unit/support/vault_fixture.h"

struct intake_peer {
	struct vault_fixture vault;
	uv_loop_t loop;
	struct intake_server *server;
	char path[128];
	int fd;                /* of the connection */
	struct socket_fds fds; /* that came with the last message */
};

/* cmocka setup and teardown: a vault, a server, and a connection that has not said hello. */
int intake_peer_setup(void **state);
int intake_peer_teardown(void **state);
#define with_peer(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, intake_peer_setup, intake_peer_teardown)

/* Connects again, and (greet) exchanges hellos. */
void intake_peer_connect(struct intake_peer *peer, bool greet);
/* Another connection, beside the present one. */
int intake_peer_second(struct intake_peer *peer);
void intake_peer_disconnect(struct intake_peer *peer);

/* Sends; steals the message. Or any bytes. Without reading, however long it takes. */
void intake_peer_send(struct intake_peer *peer, json_t *message);
void intake_peer_send_raw(struct intake_peer *peer, const void *bytes, size_t len);

/* The next message, to be freed; NULL when the keeper closed the connection. */
json_t *intake_peer_receive(struct intake_peer *peer);
/* The next message, which must be of this operation and job (-1: none). */
json_t *intake_peer_expect(struct intake_peer *peer, const char *op, json_int_t job);
/* That the keeper closes, and that it goes on serving others. */
void intake_peer_expect_closed(struct intake_peer *peer);

/* A good begin message for ten bytes of alice's, of a source never seen before. */
json_t *intake_peer_begin(json_int_t job);
/* Writes the object that a begun message asks for. */
void intake_peer_write(struct intake_peer *peer, const json_t *begun, size_t bytes);
