/* age's X25519 recipient and identity: the file key wrapped under a key of one Diffie-Hellman
 * exchange with an ephemeral secret (C2SP age specification, "The X25519 recipient type").
 *
 * Secrets of an exchange live in one block of secret memory (struct exchange), wiped when it is
 * freed. An exchange whose result is zero, from a point of low order, is refused in both
 * directions. */
#include "crypto/age_identity.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/age_wrap.h"
#include "crypto/bech32.h"
#include "crypto/hkdf.h"

#define INFO "age-encryption.org/v1/X25519"

_Static_assert(AGE_X25519_BYTES == crypto_scalarmult_curve25519_BYTES, "X25519 size");

/* One Diffie-Hellman exchange. */
struct exchange {
	uint8_t ephemeral[AGE_X25519_BYTES];
	uint8_t shared[AGE_X25519_BYTES];
	uint8_t salt[2 * AGE_X25519_BYTES]; /* share || recipient */
	uint8_t wrap_key[AGE_WRAP_KEY_BYTES];
	uint8_t opened[AGE_FILE_KEY_BYTES];
	uint8_t file_key[AGE_FILE_KEY_BYTES];
};

int age_x25519_identity_parse(const char *text, uint8_t ret_secret[static AGE_X25519_BYTES])
{
	return bech32_decode(text, "AGE-SECRET-KEY-", ret_secret, AGE_X25519_BYTES);
}

int age_x25519_recipient_parse(const char *text, uint8_t ret_public[static AGE_X25519_BYTES])
{
	return bech32_decode(text, "age", ret_public, AGE_X25519_BYTES);
}

int age_x25519_recipient_format(const uint8_t public[static AGE_X25519_BYTES], char **ret_text)
{
	return bech32_encode("age", public, AGE_X25519_BYTES, ret_text);
}

/* -EINVAL for a low-order point: the shared secret would be zero (RFC 7748, section 6.1). */
static int derive_wrap_key(struct exchange *x, const uint8_t secret[static AGE_X25519_BYTES],
		const uint8_t peer[static AGE_X25519_BYTES])
{
	if (crypto_scalarmult_curve25519(x->shared, secret, peer) < 0)
		return -EINVAL;
	hkdf_sha256(x->shared, sizeof(x->shared), x->salt, sizeof(x->salt), INFO, strlen(INFO),
			x->wrap_key, sizeof(x->wrap_key));
	return 0;
}

int age_x25519_wrap(const uint8_t recipient[static AGE_X25519_BYTES],
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], struct age_stanza *ret_stanza)
{
	_cleanup_secret_ struct exchange *x = secret_new(sizeof(*x));
	char share[AGE_BASE64_ROOM(AGE_X25519_BYTES)], line[sizeof("X25519 ") + sizeof(share)];

	if (!x)
		return -ENOMEM;
	randombytes_buf(x->ephemeral, sizeof(x->ephemeral));
	crypto_scalarmult_curve25519_base(x->salt, x->ephemeral);
	memcpy(x->salt + AGE_X25519_BYTES, recipient, AGE_X25519_BYTES);
	int r = derive_wrap_key(x, x->ephemeral, recipient);
	if (r < 0)
		return r;
	age_stanza_base64_format(x->salt, AGE_X25519_BYTES, share);
	int len = snprintf(line, sizeof(line), "X25519 %s", share);
	r = age_stanza_new(line, (size_t)len, AGE_WRAPPED_BYTES, ret_stanza);
	if (r < 0)
		return r;
	age_wrap_seal(x->wrap_key, file_key, NULL, 0, ret_stanza->body);
	return 0;
}

/* The body's length is checked before it is opened: else a sender could learn which of several keys
 * opens it (partitioning oracle; Len, Grubbs, Ristenpart, USENIX Security 2021). */
static int try_stanza(struct exchange *x, const uint8_t secret[static AGE_X25519_BYTES],
		const struct age_stanza *stanza)
{
	if (stanza->n_args != 2 || stanza->body_len != AGE_WRAPPED_BYTES)
		return -RE_HEADER;
	int r = age_stanza_base64(
			stanza->args[1], strlen(stanza->args[1]), x->salt, AGE_X25519_BYTES);
	if (r < 0)
		return r;
	r = derive_wrap_key(x, secret, x->salt);
	if (r < 0)
		return -RE_HEADER;
	return age_wrap_open(x->wrap_key, stanza->body, NULL, 0, x->opened);
}

int age_x25519_unwrap(const uint8_t secret[static AGE_X25519_BYTES],
		const struct age_header *header, uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	_cleanup_secret_ struct exchange *x = secret_new(sizeof(*x));
	int found = -RE_NO_MATCH;

	if (!x)
		return -ENOMEM;
	if (header->n_stanzas > 1 && age_header_find(header, "scrypt"))
		return -RE_HEADER;
	crypto_scalarmult_curve25519_base(x->salt + AGE_X25519_BYTES, secret);
	for (size_t i = 0; i < header->n_stanzas; i++) {
		if (strcmp(header->stanzas[i].args[0], "X25519") != 0)
			continue;
		int r = try_stanza(x, secret, &header->stanzas[i]);
		if (r < 0 && r != -RE_NO_MATCH)
			return r;
		if (r == 0 && found < 0) {
			memcpy(x->file_key, x->opened, sizeof(x->file_key));
			found = 0;
		}
	}
	if (found == 0)
		memcpy(ret_file_key, x->file_key, AGE_FILE_KEY_BYTES);
	return found;
}
