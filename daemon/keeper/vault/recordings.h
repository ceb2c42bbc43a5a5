/* Recordings as people and players see them: private data opened, objects handed out. */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "crypto/rec_stanza.h"
#include "daemon/keeper/keys/keytree.h"
#include "storage/objects/object_store.h"
#include "storage/tables/catalog.h"

#define RECORDING_SIDECARS_MAX      4
#define RECORDING_SIDECAR_BYTES_MAX 16384

/* What is sealed under the recording's key. Strings are the struct's; absent ones are NULL. */
struct recording_private {
	int64_t recoverable_bytes; /* of audio, in what is damaged; 0: none, or not known */
	char *spool;
	uint8_t *path; /* below the spool; any bytes but NUL, and a NUL after them */
	size_t path_len;
	char *damage;            /* what the probe found wrong */
	char *quarantine_reason; /* why it is in quarantine */
	char *follows;           /* id of the recording sealed earlier from this path */
	bool discarded;          /* its bridge did not want it */
	json_t *sidecars;        /* as on the wire (intake_wire.h), checked; NULL: none */
};
void recording_private_clear(struct recording_private *private);

/* -RE_GONE when its keys are destroyed; -RE_CORRUPT. */
int recordings_private(struct keytree *tree, const struct recording_row *row,
		struct recording_private *ret_private);

/* Whether an array of sidecars is as the wire has them. -RE_PROTOCOL, -ENOMEM. */
int recordings_check_sidecars(const json_t *sidecars);

/* Seals private data under a recording key; malloc'd, the caller's. */
int recordings_seal_private(const struct recording_private *private,
		const uint8_t key[static REC_KEY_BYTES], int64_t id, uint8_t **ret_sealed,
		size_t *ret_bytes);

/* Where recordings are read from; all borrowed. */
struct recordings {
	struct keytree *tree;
	struct object_store *store;
	int64_t quarantine_account;
};

/* For play and verify: opens the object, checks its header (shape, binding, MAC) and hands out what
 * a caller needs: a read-only descriptor, a memfd of the payload key, and where the chunks start.
 * Both are the caller's. -RE_GONE; -ENOENT when the object is missing; -RE_HEADER, -RE_HEADER_MAC,
 * -RE_NO_MATCH for a damaged header. */
struct recording_opened {
	int object_fd, key_fd;
	off_t payload_offset;
};
int recordings_open(const struct recordings *from, const struct recording_row *row,
		struct recording_opened *ret_opened);

/* For the age plugin: unwraps a rec stanza's file key into a memfd. -ENOENT for an unknown
 * recording, -RE_GONE, -RE_NO_MATCH when stanza, tag and recording do not belong together. ret_row
 * as well, to be cleared. */
int recordings_unwrap(const struct recordings *from, const struct rec_stanza *stanza,
		struct recording_row *ret_row, int *ret_key_fd);

/* Recordings whose state lets them be read. */
bool recording_is_live(enum recording_state state);

/* "sealed", ...; and back, -EINVAL. */
const char *recording_state_name(enum recording_state state);
int recording_state_parse(const char *name, enum recording_state *ret_state);
