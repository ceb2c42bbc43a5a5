/* age's scrypt recipient and identity: the file key wrapped under a key that is derived from a
 * passphrase (C2SP age specification, "The scrypt recipient type").
 *
 * A scrypt stanza must be alone in its header: who opens a file with a passphrase takes it for the
 * work of somebody who knows the passphrase, and a second stanza would let others write it. The
 * work factor comes from the file and costs memory, so it is bounded before a key is derived. */
#include "crypto/age_identity.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/age_wrap.h"

#define LABEL      "age-encryption.org/v1/scrypt"
#define SALT_BYTES 16

/* scrypt (RFC 7914) with r = 8, p = 1. It takes 2^work_factor KiB. */
static int derive_scrypt_key(const char *passphrase, const uint8_t salt[static SALT_BYTES],
		unsigned work_factor, uint8_t ret_key[static AGE_WRAP_KEY_BYTES])
{
	uint8_t labelled[sizeof(LABEL) - 1 + SALT_BYTES];

	memcpy(labelled, LABEL, sizeof(LABEL) - 1);
	memcpy(labelled + sizeof(LABEL) - 1, salt, SALT_BYTES);
	if (crypto_pwhash_scryptsalsa208sha256_ll((const uint8_t *)passphrase, strlen(passphrase),
			    labelled, sizeof(labelled), UINT64_C(1) << work_factor, 8, 1, ret_key,
			    AGE_WRAP_KEY_BYTES) < 0)
		return -ENOMEM;
	return 0;
}

int age_scrypt_wrap(const char *passphrase, unsigned work_factor,
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], struct age_stanza *ret_stanza)
{
	_cleanup_secret_ uint8_t *wrap_key = secret_new(AGE_WRAP_KEY_BYTES);
	uint8_t salt[SALT_BYTES];
	char text[AGE_BASE64_ROOM(SALT_BYTES)], line[sizeof("scrypt  4294967295") + sizeof(text)];

	if (!wrap_key)
		return -ENOMEM;
	if (work_factor < 1 || work_factor > AGE_SCRYPT_WORK_FACTOR_MAX)
		return -EINVAL;
	randombytes_buf(salt, sizeof(salt));
	int r = derive_scrypt_key(passphrase, salt, work_factor, wrap_key);
	if (r < 0)
		return r;
	age_stanza_base64_format(salt, sizeof(salt), text);
	int len = snprintf(line, sizeof(line), "scrypt %s %u", text, work_factor);
	r = age_stanza_new(line, (size_t)len, AGE_WRAPPED_BYTES, ret_stanza);
	if (r < 0)
		return r;
	age_wrap_seal(wrap_key, file_key, NULL, 0, ret_stanza->body);
	return 0;
}

/* Digits only, no leading zero, within the cap. */
static int parse_work_factor(const char *text, unsigned *ret_work_factor)
{
	unsigned n = 0;

	if (*text < '1' || *text > '9')
		return -RE_HEADER;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return -RE_HEADER;
		n = n * 10 + (unsigned)(*p - '0');
		if (n > AGE_SCRYPT_WORK_FACTOR_MAX)
			return -RE_HEADER;
	}
	*ret_work_factor = n;
	return 0;
}

/* The body's length is checked before it is opened, see age_x25519.c. */
static int open_stanza(const struct age_stanza *stanza, const char *passphrase,
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	_cleanup_secret_ uint8_t *wrap_key = secret_new(AGE_WRAP_KEY_BYTES);
	uint8_t salt[SALT_BYTES];
	unsigned work_factor;

	if (!wrap_key)
		return -ENOMEM;
	if (stanza->n_args != 3 || stanza->body_len != AGE_WRAPPED_BYTES)
		return -RE_HEADER;
	int r = age_stanza_base64(stanza->args[1], strlen(stanza->args[1]), salt, sizeof(salt));
	if (r == 0)
		r = parse_work_factor(stanza->args[2], &work_factor);
	if (r == 0)
		r = derive_scrypt_key(passphrase, salt, work_factor, wrap_key);
	if (r < 0)
		return r;
	return age_wrap_open(wrap_key, stanza->body, NULL, 0, ret_file_key);
}

int age_scrypt_unwrap(const char *passphrase, const struct age_header *header,
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	const struct age_stanza *stanza = age_header_find(header, "scrypt");

	if (!stanza)
		return -RE_NO_MATCH;
	if (header->n_stanzas != 1)
		return -RE_HEADER;
	return open_stanza(stanza, passphrase, ret_file_key);
}
