/* The sealing itself: one recording from its file into its object, in a thread of the pool, in
 * constant memory (SEAL_BUFFER_CHUNKS chunks, and what object_writer.h takes).
 *
 * Object: header || payload nonce || STREAM chunks (crypto/age_stream.h). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/age_stream.h"
#include "daemon/intake/source/source.h"

#define SEAL_BUFFER_CHUNKS 4

struct seal {
	/* Given; all borrowed. */
	int source_fd;
	const struct source_identity *identity; /* of the source, before and after */
	int object_fd;                          /* empty */
	int key_fd;                             /* memfd of the payload key */
	const uint8_t *header;
	size_t header_len;
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
	/* Set by any thread; read before every buffer. */
	atomic_bool cancelled;
	/* Counts the buffers that were read: a thread that hangs does not count on. */
	atomic_uint progress;
	/* What seal_run() was doing when it failed, for the operator: "reading the recording". */
	const char *doing;
};

enum {
	SEAL_CANCELLED = 1,
	SEAL_CHANGED, /* the source was altered meanwhile, or has another length */
};

/* Seals the source into the object. On 0 the object is complete and durable on return, and the
 * source was unchanged when it had been read to its end. SEAL_CANCELLED, SEAL_CHANGED; -errno or
 * -RE_PROTOCOL (the descriptor holds no key), with seal->doing. Blocks; any thread. */
int seal_run(struct seal *seal);

/* Whether seal_run() failed because the source could not be read, and not because the object could
 * not be written. */
bool seal_failed_at_source(const struct seal *seal);
