/* recseal's own age stanzas.
 *
 *     -> recseal.org/v1/rec <recording id, 26 characters> <base64 nonce, 16 bytes>
 *     <file key sealed under the wrap key: 32 bytes>
 *     -> recseal.org/v1/tag
 *     <tag document: plaintext JSON, facts that may outlive a shred>
 *
 * wrap key = HKDF-SHA256(ikm: recording key, salt: nonce,
 *                        info: "recseal.org/v1/rec" || account handle || recording id)
 * body     = ChaCha20-Poly1305(wrap key, nonce 0, file key, associated data: SHA-256(tag body))
 *
 * The key is used once, so a zero nonce is safe. Swapping accounts, files or tags breaks the
 * wrap. Only symmetric wraps exist inside the vault: a public-key edge would void the erasure
 * guarantee. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ulid.h"
#include "crypto/age_header.h"
#include "crypto/age_stream.h"

#define REC_STANZA_TYPE      "recseal.org/v1/rec"
#define TAG_STANZA_TYPE      "recseal.org/v1/tag"
#define REC_NONCE_BYTES      16
#define REC_WRAPPED_BYTES    (AGE_FILE_KEY_BYTES + 16)
#define REC_KEY_BYTES        32
#define ACCOUNT_HANDLE_BYTES 16
#define TAG_HASH_BYTES       32

/* Whose recording a wrap is of: it opens under no other. */
struct rec_binding {
	uint8_t recording_id[ULID_BYTES];
	uint8_t account_handle[ACCOUNT_HANDLE_BYTES];
};

/* The rec stanza's content, as found in a header. */
struct rec_stanza {
	uint8_t recording_id[ULID_BYTES];
	uint8_t nonce[REC_NONCE_BYTES];
	uint8_t wrapped[REC_WRAPPED_BYTES];
	uint8_t tag_hash[TAG_HASH_BYTES];
};

/* Builds the complete header of a new recording: the two stanzas and the MAC. The bytes are
 * malloc'd and the caller's. -E2BIG when the tag is too long; -ENOMEM. */
int rec_stanza_build_header(const struct rec_binding *binding,
		const uint8_t recording_key[static REC_KEY_BYTES],
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], const char *tag, size_t tag_len,
		uint8_t **ret_bytes, size_t *ret_len);

/* Finds and checks the shape of the rec and tag stanzas: exactly one of each, in that order, and
 * nothing else. -RE_NO_MATCH when there is no rec stanza, -RE_HEADER when it is malformed. */
int rec_stanza_find(const struct age_header *header, struct rec_stanza *ret_stanza);

/* The parts of a rec stanza as an age plugin gets them: arguments without the type, and the body.
 * The tag hash is left zero. -RE_HEADER. */
int rec_stanza_parse(const struct age_stanza *stanza, struct rec_stanza *ret_stanza);

/* SHA-256 of a tag body. */
void rec_stanza_hash_tag(const void *tag, size_t len, uint8_t ret_hash[static TAG_HASH_BYTES]);

/* Opens the wrap. The id in the stanza must equal the binding's. 0; -RE_NO_MATCH when it does not
 * open. */
int rec_stanza_unwrap(const struct rec_stanza *stanza, const struct rec_binding *binding,
		const uint8_t recording_key[static REC_KEY_BYTES],
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES]);
