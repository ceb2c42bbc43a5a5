#include "crypto/age_wrap.h"

#include <sodium.h>

#include "base/error.h"

_Static_assert(AGE_WRAP_KEY_BYTES == crypto_aead_chacha20poly1305_IETF_KEYBYTES, "wrap key size");
_Static_assert(AGE_WRAPPED_BYTES == AGE_FILE_KEY_BYTES + crypto_aead_chacha20poly1305_IETF_ABYTES,
		"wrapped size");

static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

void age_wrap_seal(const uint8_t wrap_key[static AGE_WRAP_KEY_BYTES],
		const uint8_t file_key[static AGE_FILE_KEY_BYTES], const uint8_t *ad, size_t ad_len,
		uint8_t ret_body[static AGE_WRAPPED_BYTES])
{
	crypto_aead_chacha20poly1305_ietf_encrypt(ret_body, NULL, file_key, AGE_FILE_KEY_BYTES, ad,
			ad_len, NULL, zero_nonce, wrap_key);
}

int age_wrap_open(const uint8_t wrap_key[static AGE_WRAP_KEY_BYTES],
		const uint8_t body[static AGE_WRAPPED_BYTES], const uint8_t *ad, size_t ad_len,
		uint8_t ret_file_key[static AGE_FILE_KEY_BYTES])
{
	const uint8_t *tag = body + AGE_FILE_KEY_BYTES;

	/* Verified first, with no output: libsodium zeroes the output when it fails. */
	if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(NULL, NULL, body, AGE_FILE_KEY_BYTES,
			    tag, ad, ad_len, zero_nonce, wrap_key))
		return -RE_NO_MATCH;
	if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(ret_file_key, NULL, body,
			    AGE_FILE_KEY_BYTES, tag, ad, ad_len, zero_nonce, wrap_key))
		return -RE_NO_MATCH;
	return 0;
}
