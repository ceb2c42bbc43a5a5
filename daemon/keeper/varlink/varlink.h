/* A small Varlink server (varlink.org, "Method Call") on a libuv loop: NUL-ended JSON over Unix
 * stream sockets, descriptors beside replies.
 *
 * Peers are hostile. A connection costs at most one request and one reply of memory: the next
 * request is looked at, and the next reply of a stream made, only when the reply before it has
 * left for the socket. What is no Varlink (no JSON object, too long, ended half-way) closes the
 * connection.
 *
 * Nobody is kept waiting by calls. They are worked on in steps: one call, or one look or one
 * piece of a call that is answered in several turns. In one turn of the loop all connections
 * together get turn_us of steps (and one step at least), so that whatever else is on the loop
 * waits for that long. Steps go round: first by lane, so that those of one role do not wait for
 * the crowd of another; within a lane by user, within a user by connection. */
#pragma once

#include <uv.h>

#include "daemon/keeper/varlink/varlink_call.h"

struct varlink_server;

struct varlink_limits {
	size_t request_bytes; /* of one request, without its NUL */
	/* When all seats are taken, a newcomer gets one of the user who holds most of them, and is
	 * turned away when he is that user: nobody can crowd out anybody but himself. */
	unsigned connections;
	/* A peer that leaves a request unfinished or a reply unread for so long without moving a
	 * byte is closed. Idle connections are left alone. */
	uint64_t patience_ms;
	uint64_t turn_us; /* of steps in one turn of the loop */
};
extern const struct varlink_limits varlink_limits_default;

/* Serves on a listening SOCK_STREAM socket, which it takes over (closed also on failure). service
 * must outlive the server. limits may be NULL. -errno. */
int varlink_server_start(uv_loop_t *loop, const struct varlink_service *service,
		const struct varlink_limits *limits_or_null, int listen_fd,
		struct varlink_server **ret_server);

/* Closes everything; memory goes when the loop has run the close callbacks. Not from within a call.
 * Takes NULL; returns NULL. */
struct varlink_server *varlink_server_stop(struct varlink_server *server);

/* Seats taken. */
unsigned varlink_server_connections(const struct varlink_server *server);
