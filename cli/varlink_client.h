/* A Varlink client (varlink.org, "Protocol"): JSON objects, each ended by a NUL byte, over a
 * connected Unix stream socket, descriptors beside the first byte of a reply.
 *
 * One call at a time. The server is not trusted: a reply past VARLINK_MESSAGE_MAX_BYTES, one that
 * is not the right shape, bytes after the last reply and descriptors nobody asked for are
 * -RE_PROTOCOL, and end the connection: every later call fails the same way. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/socket.h"

#define VARLINK_MESSAGE_MAX_BYTES (4 << 20)

struct varlink_client;

/* Connects to a socket's path. 0, or -errno. */
int varlink_client_connect(const char *path, struct varlink_client **ret_client);

/* The same on a connected, blocking stream socket; takes it over, also on failure. */
int varlink_client_new(int fd, struct varlink_client **ret_client);
struct varlink_client *varlink_client_free(struct varlink_client *client);

struct varlink_reply {
	char *error;           /* the error's qualified name, or NULL */
	json_t *parameters;    /* an object, also when the reply had none */
	struct socket_fds fds; /* at most SOCKET_FDS_MAX; the caller checks what they are */
};
void varlink_client_reply_clear(struct varlink_reply *reply);

enum {
	VARLINK_REPLIED = 0,
	VARLINK_FAILED = 1, /* the reply is an error */
};

/* Calls a method. Takes the parameters over, also on failure; NULL is -ENOMEM (a json_pack() that
 * failed). VARLINK_REPLIED and VARLINK_FAILED hand the reply to the caller, who clears it;
 * -ECONNRESET when the server closed the connection; -RE_PROTOCOL; -errno. */
int varlink_client_call(struct varlink_client *client, const char *method, json_t *parameters,
		struct varlink_reply *ret_reply);

/* Calls a method with `more`: page gets the parameters of each reply in turn. A negative result of
 * page ends the call and is returned; the connection is then broken. No descriptors. The reply is
 * handed over for VARLINK_FAILED only. */
typedef int (*varlink_page)(void *context, const json_t *parameters);
int varlink_client_call_more(struct varlink_client *client, const char *method, json_t *parameters,
		varlink_page page, void *context, struct varlink_reply *ret_reply);
