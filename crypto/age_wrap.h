/* A file key sealed under a wrap key, as every stanza's body holds it (C2SP age specification):
 * ChaCha20-Poly1305 (RFC 8439) with a zero nonce, which is safe because a wrap key is used once. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "crypto/age_header.h"

#define AGE_WRAP_KEY_BYTES 32
#define AGE_WRAPPED_BYTES  (AGE_FILE_KEY_BYTES + 16)

void age_wrap_seal(const uint8_t wrap_key[static AGE_WRAP_KEY_BYTES],
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], const uint8_t *ad, size_t ad_len,
		uint8_t ret_body[static AGE_WRAPPED_BYTES]);

/* 0, or -RE_NO_MATCH when it does not open. */
int age_wrap_open(const uint8_t wrap_key[static AGE_WRAP_KEY_BYTES],
		const uint8_t body[static AGE_WRAPPED_BYTES], const uint8_t *ad, size_t ad_len,
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES]);
