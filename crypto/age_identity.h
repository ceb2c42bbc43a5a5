/* age's native identities and recipients: X25519 and scrypt (C2SP age specification).
 *
 * Only for files that leave the vault (exports) and for tests: no file key inside the vault is ever
 * wrapped for a public key or a passphrase. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "crypto/age_header.h"
#include "crypto/age_stanza.h"

#define AGE_X25519_BYTES 32

/* "AGE-SECRET-KEY-1..." and "age1...": Bech32 text to key and back. -EINVAL. */
int age_x25519_identity_parse(const char *text, uint8_t ret_secret[static AGE_X25519_BYTES]);
int age_x25519_recipient_parse(const char *text, uint8_t ret_public[static AGE_X25519_BYTES]);
int age_x25519_recipient_format(
		const uint8_t public[static AGE_X25519_BYTES], char **ret_text /* free() */);

/* Makes a stanza that wraps the file key; free with age_stanza_free(). -EINVAL for a low-order
 * point. */
int age_x25519_wrap(const uint8_t recipient[static AGE_X25519_BYTES],
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], struct age_stanza *ret_stanza);

/* work_factor is log2 N, 1 to AGE_SCRYPT_WORK_FACTOR_MAX. */
#define AGE_SCRYPT_WORK_FACTOR_MAX 22
int age_scrypt_wrap(const char *passphrase, unsigned work_factor,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], struct age_stanza *ret_stanza);

/* Tries every stanza of the header. 0; -RE_NO_MATCH when none is for this key; -RE_HEADER when one
 * of our type is malformed, or when a scrypt stanza is not alone. */
int age_x25519_unwrap(const uint8_t secret[static AGE_X25519_BYTES],
		const struct age_header *header, uint8_t ret_file_key[static AGE_FILE_KEY_BYTES]);
int age_scrypt_unwrap(const char *passphrase, const struct age_header *header,
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES]);
