/* What the keeper grants with `begun`: an object to write into, and the key, nonce and header to
 * write it with. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/socket.h"
#include "crypto/age_stream.h"

struct job_grant {
	int object_fd, key_fd; /* -1: none */
	uint8_t *header;       /* free() */
	size_t header_len;
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
};

/* Reads it from the message, and checks every field and both descriptors, which become the grant's.
 * -RE_PROTOCOL, -ENOMEM. */
int job_grant_read(const json_t *message, struct socket_fds *fds, struct job_grant *ret_grant);

/* Closes and frees what the grant holds, if anything; leaves an empty one, {-1, -1}. */
void job_grant_release(struct job_grant *grant);
