/* Framing of the age plugin protocol (C2SP age-plugin, "IPC protocol"): age v1 stanzas over a pair
 * of pipes. Strict: LF only, one SP between arguments, canonical unpadded base64, body lines of 64
 * columns, the last one shorter. */
#pragma once

#include <stddef.h>

#include "crypto/age_header.h"

/* An age header fits in AGE_HEADER_MAX_BYTES, and so does each of its stanzas. */
#define PLUGIN_STANZA_MAX_BYTES (AGE_HEADER_MAX_BYTES + 4096)

struct plugin_stream {
	int in_fd, out_fd; /* borrowed */
	char *buf;
	size_t start, len, room;
};

void plugin_stanza_stream_init(struct plugin_stream *stream, int in_fd, int out_fd);
/* Wipes and frees what it read. */
void plugin_stanza_stream_clear(struct plugin_stream *stream);

/* The next stanza, to be freed with age_stanza_free(). 0; -ECONNRESET when the peer closed before
 * or in it; -RE_PROTOCOL when it is malformed or too long; -ENOMEM; -errno. */
int plugin_stanza_read(struct plugin_stream *stream, struct age_stanza *ret_stanza);

/* Writes a stanza of these n_args (at least one: the type) with a body. -EPIPE when the peer is
 * gone; -errno. Copies of the body are wiped. */
int plugin_stanza_write(struct plugin_stream *stream, const char *const args[], size_t n_args,
		const void *body, size_t body_len);
