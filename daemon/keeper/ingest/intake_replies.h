/* Replies to the intake, as intake_wire.h has them; and those that its socket had no room for, in
 * order; for intake_server.c only. While any wait, the server reads no further request, so that
 * there are never more than one and those to the open commits. */
#pragma once

#include <jansson.h>

#include "base/socket.h"
#include "daemon/keeper/ingest/ingest.h"

#define INTAKE_REPLIES_MAX 512

struct intake_replies {
	struct intake_reply {
		json_t *message;
		struct socket_fds fds; /* duplicates */
	} waiting[INTAKE_REPLIES_MAX];
	size_t first, count;
};

/* Sends the message, or keeps it while the socket is full or others wait. The descriptors and the
 * message stay the caller's. -errno; -ENOBUFS when too many wait. */
int intake_replies_send(struct intake_replies *replies, int fd, json_t *message,
		const struct socket_fds *fds_or_null);

/* Sends what waits, as far as there is room. -errno. */
int intake_replies_flush(struct intake_replies *replies, int fd);

void intake_replies_clear(struct intake_replies *replies);

/* The messages, to be freed; NULL: no memory. */
json_t *intake_replies_failed(int64_t job, const char *why, bool retry);
json_t *intake_replies_committed(int64_t job, const uint8_t ulid[static ULID_BYTES]);
json_t *intake_replies_already(int64_t job, const uint8_t ulid[static ULID_BYTES], bool sidecars);
json_t *intake_replies_begun(int64_t job, const struct ingest_start *start);
