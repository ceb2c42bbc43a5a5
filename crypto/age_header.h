/* The age v1 header (C2SP age specification, sections "Header" and "Header MAC").
 *
 * The parser is strict: LF only, canonical unpadded base64, 64-column body lines, no empty
 * arguments, no bytes outside the grammar; whole headers past AGE_HEADER_MAX_BYTES and more than
 * AGE_STANZAS_MAX stanzas are refused, since the specification sets no limit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/age_stanza.h"

#define AGE_FILE_KEY_BYTES   16
#define AGE_MAC_BYTES        32
#define AGE_HEADER_MAX_BYTES 65536
#define AGE_STANZAS_MAX      128

struct age_header {
	struct age_stanza *stanzas;
	size_t n_stanzas;
	uint8_t mac[AGE_MAC_BYTES];
	size_t maced_bytes;  /* bytes from the start up to and including "---" */
	size_t header_bytes; /* bytes from the start up to and including the final LF */
};

/* Parses a header from the start of buf, which may go on after it. 0; -RE_HEADER when malformed or
 * over a cap, also when buf ends before the header does; -ENOMEM. On success the caller frees with
 * age_header_free(). */
int age_header_parse(const uint8_t *buf, size_t len, struct age_header *ret_header);

/* Frees the contents and zeroes the struct. */
void age_header_free(struct age_header *header);

/* Whether the MAC is right for this file key, over the bytes that were parsed. 0, or
 * -RE_HEADER_MAC. */
int age_header_verify(const struct age_header *header, const uint8_t *buf,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES]);

/* Writes a whole header, MAC included, from n stanzas. The buffer is malloc'd and the caller's.
 * -EINVAL for an argument outside the grammar, -E2BIG over the cap, -ENOMEM. */
int age_header_build(const struct age_stanza *stanzas, size_t n,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], uint8_t **ret_bytes,
		size_t *ret_len);

/* The first stanza of this type, or NULL. */
const struct age_stanza *age_header_find(const struct age_header *header, const char *type);

/* Reads from a descriptor (pread at 0) as much as a header may need, and parses it. The malloc'd
 * bytes (the header's own, header_bytes long) are the caller's. -RE_HEADER, -errno. */
int age_header_read(int fd, struct age_header *ret_header, uint8_t **ret_bytes);
