/* The bytes of one Varlink connection: NUL-framed messages in, one message with descriptors out. No
 * loop in here; the socket is non-blocking. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/socket.h"

struct varlink_io {
	int fd;
	size_t request_bytes; /* cap */
	uint64_t moved_bytes; /* ever, in and out: a sign of life */
	bool end_of_stream;   /* the peer sends nothing more; it may still read */

	char *in;
	size_t in_start, in_scanned, in_len, in_room;

	char *out; /* NULL: nothing to send */
	size_t out_sent, out_len;
	struct socket_fds out_fds; /* not yet handed over */
};

/* One read. Descriptors the peer sends are closed at once. 0 (also when there is nothing to read),
 * or -errno, -RE_PROTOCOL. */
int varlink_io_read(struct varlink_io *io);

/* Whether a message is waiting to be taken: a whole one, or one that is too long already. */
bool varlink_io_waiting(struct varlink_io *io);

/* Whether the beginning of a message is. */
bool varlink_io_partial(const struct varlink_io *io);

/* Takes the next message, NUL-ended, valid until the next call about input. 1; 0 when there is no
 * whole one; -RE_PROTOCOL when it is too long. */
int varlink_io_take(struct varlink_io *io, const char **ret_text, size_t *ret_len);

/* Makes message the one to send. There must be none. The descriptors (NULL for none) become io's,
 * also on failure. -ENOMEM. */
int varlink_io_put(struct varlink_io *io, const json_t *message, struct socket_fds *fds);

/* Sends what the socket takes. 0, also when something is left; -errno. */
int varlink_io_flush(struct varlink_io *io);

/* Frees buffers and descriptors; the socket stays open. */
void varlink_io_clear(struct varlink_io *io);
