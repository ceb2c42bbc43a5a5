/* HKDF-SHA256 (RFC 5869) on libsodium's HMAC-SHA256; libsodium 1.0.18 has no HKDF of its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HKDF_MAX_BYTES (255 * 32)

/* Fills out_len (at most HKDF_MAX_BYTES) bytes; intermediate values are wiped. salt may be NULL
 * with salt_len 0. */
void hkdf_sha256(const uint8_t *ikm, size_t ikm_len, const uint8_t *salt, size_t salt_len,
		const void *info, size_t info_len, uint8_t *ret_out, size_t out_len);
