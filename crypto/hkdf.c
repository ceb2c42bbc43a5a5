#include "crypto/hkdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define HASH_BYTES crypto_auth_hmacsha256_BYTES

/* Cannot fail, so that key schedules need no error path: hence the stack, wiped on return. */
void hkdf_sha256(const uint8_t *ikm, size_t ikm_len, const uint8_t *salt, size_t salt_len,
		const void *info, size_t info_len, uint8_t *ret_out, size_t out_len)
{
	static const uint8_t no_salt[HASH_BYTES];
	struct {
		crypto_auth_hmacsha256_state hmac;
		uint8_t prk[HASH_BYTES];
		uint8_t block[HASH_BYTES];
	} s;

	assert(out_len <= HKDF_MAX_BYTES);

	crypto_auth_hmacsha256_init(&s.hmac, salt_len ? salt : no_salt, salt_len);
	crypto_auth_hmacsha256_update(&s.hmac, ikm, ikm_len);
	crypto_auth_hmacsha256_final(&s.hmac, s.prk);

	for (uint8_t i = 1; out_len > 0; i++) {
		size_t n = out_len < HASH_BYTES ? out_len : HASH_BYTES;

		crypto_auth_hmacsha256_init(&s.hmac, s.prk, sizeof(s.prk));
		if (i > 1)
			crypto_auth_hmacsha256_update(&s.hmac, s.block, sizeof(s.block));
		crypto_auth_hmacsha256_update(&s.hmac, info, info_len);
		crypto_auth_hmacsha256_update(&s.hmac, &i, 1);
		crypto_auth_hmacsha256_final(&s.hmac, s.block);
		memcpy(ret_out, s.block, n);
		ret_out += n;
		out_len -= n;
	}
	sodium_memzero(&s, sizeof(s));
}
