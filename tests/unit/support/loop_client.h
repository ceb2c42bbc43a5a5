/* A Varlink client for tests that shares its thread, and its loop, with the server under test. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "base/socket.h"

struct client {
	uv_loop_t *loop;
	int fd;
	char *in;
	size_t in_len, in_room;
	size_t offset;         /* of the stream, of the first byte in `in` */
	struct socket_fds fds; /* the last that came, and */
	size_t fds_offset;     /* where in the stream they were */
	size_t fds_total;      /* ever */
	size_t read_bytes;     /* at once; 1 shows what descriptors are attached to */
	bool closed;           /* by the server */
};

void client_connect(struct client *client, uv_loop_t *loop, const char *path);
void client_close(struct client *client);

/* Sends all bytes, running the loop while the socket is full. Gives up when the server closes. */
void client_write(struct client *client, const void *bytes, size_t len);
/* The text and its NUL. */
void client_send(struct client *client, const char *text);

/* The next message; NULL when the server closed the connection. *ret_offset: where it began. */
json_t *client_receive(struct client *client, size_t *ret_offset);

/* Runs the loop until the server closes; what it still sends is dropped. */
void client_expect_close(struct client *client);

/* One call and its reply; steals parameters, which may be NULL. */
json_t *client_call(struct client *client, const char *method, json_t *parameters);

/* Runs the loop while it has anything to do at once. */
void loop_settle(uv_loop_t *loop);
