/* The messages of a job, as JSON (daemon/common/wire/intake_wire.h). All makers return NULL when
 * out of memory. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/socket.h"
#include "base/ulid.h"
#include "crypto/age_stream.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/intake/work/job.h"

json_t *job_message_begin(uint32_t job, const struct job_order *order, uint64_t plain_bytes,
		const struct probe_result *probe);
json_t *job_message_simple(const char *op, uint32_t job);
json_t *job_message_unlinked(uint32_t job, int64_t exposure_us);

/* What `begun` brings. */
struct job_grant {
	int object_fd, key_fd;
	uint8_t *header; /* free() */
	size_t header_len;
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
};

/* Checks every field and both descriptors, which become the grant's. -RE_PROTOCOL, -ENOMEM. */
int job_message_grant(const json_t *message, struct socket_fds *fds, struct job_grant *ret_grant);
/* Closes and frees what it holds, if anything; for {-1, -1} and after. */
void job_grant_release(struct job_grant *grant);
