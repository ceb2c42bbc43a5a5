/* A recording as OpenRecording hands it over: the sealed object and its payload key, as
 * descriptors. */
#pragma once

#include <stdint.h>

#include "cli/varlink_client.h"
#include "crypto/age_stream.h"

struct sealed_object;

/* Checks the reply (indexes, types, sizes: the keeper is not trusted) and opens the payload: its
 * size is possible and its final chunk authentic. Takes the reply's descriptors over, also on
 * failure. 0; -RE_PROTOCOL; -RE_PAYLOAD when the object is damaged; -ENOMEM; -errno. */
int sealed_object_open(struct varlink_reply *reply, struct sealed_object **ret_object);
struct sealed_object *sealed_object_free(struct sealed_object *object);

uint64_t sealed_object_plain_bytes(const struct sealed_object *object);

/* Reads it front to back and hands every authenticated piece to sink. *done_bytes counts what sink
 * took, also on failure. 0; -RE_PAYLOAD; -errno; or sink's own negative result. */
int sealed_object_read(
		struct sealed_object *object, age_sink sink, void *context, uint64_t *done_bytes);
