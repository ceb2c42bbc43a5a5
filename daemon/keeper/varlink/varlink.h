/* A small Varlink server (varlink.org, "Method Call") on a libuv loop: NUL-ended JSON over Unix
 * stream sockets, descriptors beside replies.
 *
 * Peers are hostile. A connection costs at most one request and one reply of memory: the next
 * request is looked at, and the next reply of a stream made, only when the reply before it has left
 * for the socket. In one turn of the loop a connection gets one step: one read, one call or one
 * reply. What is no Varlink (no JSON object, too long, ended half-way) closes the connection. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "base/socket.h"

struct varlink_server;
struct varlink_call;

struct varlink_limits {
	size_t request_bytes; /* of one request, without its NUL */
	/* When all seats are taken, a newcomer gets one of the user who holds most of them, and is
	 * turned away when he is that user: nobody can crowd out anybody but himself. */
	unsigned connections;
	/* A peer that leaves a request unfinished or a reply unread for so long without moving a
	 * byte is closed. Idle connections are left alone. */
	uint64_t patience_ms;
};
extern const struct varlink_limits varlink_limits_default;

/* What is served: one interface, beside org.varlink.service. All strings are borrowed. */
struct varlink_service {
	const char *vendor, *product, *version, *url;
	const char *interface, *description;
	/* Called for every method of the interface, known or not. Must have answered, or started a
	 * stream, when it returns; else the connection is closed. */
	void (*call)(void *context, struct varlink_call *call);
	void *context;
};

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

/* A call, valid until it is answered. Strings and objects are the call's. */
const char *varlink_call_method(const struct varlink_call *call);       /* without its interface */
const json_t *varlink_call_parameters(const struct varlink_call *call); /* an object */
bool varlink_call_wants_more(const struct varlink_call *call);
int varlink_call_socket(const struct varlink_call *call); /* for its peer's credentials */

/* The one or the last reply. Steals parameters, and the descriptors, which travel with the first
 * byte of this very reply. NULL parameters (out of memory) close the connection. */
void varlink_call_reply(struct varlink_call *call, json_t *parameters, struct socket_fds *fds);

/* An error, by its full name. Steals parameters. */
void varlink_call_error(struct varlink_call *call, const char *error, json_t *parameters);
void varlink_call_invalid_parameter(struct varlink_call *call, const char *parameter);
void varlink_call_method_not_found(struct varlink_call *call);
void varlink_call_expected_more(struct varlink_call *call);

/* A call with `more`, answered in pieces. next() is called whenever the socket has taken the piece
 * before; it must make one: varlink_call_continue(), or the last one with varlink_call_reply() or
 * varlink_call_error(). free() is called once, at the end or when the peer is gone. */
struct varlink_stream {
	void (*next)(struct varlink_call *call, void *state);
	void (*free)(void *state);
};
void varlink_call_stream(
		struct varlink_call *call, const struct varlink_stream *stream, void *state);
void varlink_call_continue(struct varlink_call *call, json_t *parameters);
