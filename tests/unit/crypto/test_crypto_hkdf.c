#include "crypto/hkdf.h"

#include "tests/unit/support/crypto_fixture.h"

/* RFC 5869, appendix A.1 to A.3 */
static const struct {
	const char *ikm, *salt, *info, *okm;
} rfc5869[] = {
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
				"f0f1f2f3f4f5f6f7f8f9",
				"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
				"34007208d5b887185865"},
		{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		 "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
		 "404142434445464748494a4b4c4d4e4f",
				"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
				"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
				"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
				"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
				"d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
				"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
				"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
				"59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
				"cc30c58179ec3e87c14c01d5c1f3434f1d87"},
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
				"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
				"9d201395faa4b61a96c8"},
};

static void test_rfc5869(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(rfc5869); i++) {
		uint8_t ikm[80], salt[80], info[80], want[82], got[82];
		size_t ikm_len = from_hex(rfc5869[i].ikm, ikm, sizeof(ikm));
		size_t salt_len = from_hex(rfc5869[i].salt, salt, sizeof(salt));
		size_t info_len = from_hex(rfc5869[i].info, info, sizeof(info));
		size_t len = from_hex(rfc5869[i].okm, want, sizeof(want));

		hkdf_sha256(ikm, ikm_len, salt, salt_len, info, info_len, got, len);
		assert_memory_equal(got, want, len);
	}
}

static void test_null_salt_is_the_empty_salt(void **state)
{
	uint8_t a[32], b[32];

	hkdf_sha256((const uint8_t *)"key", 3, NULL, 0, "info", 4, a, sizeof(a));
	hkdf_sha256((const uint8_t *)"key", 3, (const uint8_t *)"", 0, "info", 4, b, sizeof(b));
	assert_memory_equal(a, b, sizeof(a));
}

/* The longest output begins with every shorter one, nothing is written past the end, and its hash
 * is that of another implementation (Python's hmac). */
static void test_lengths(void **state)
{
	static const uint8_t ikm[22] = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
			0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
	uint8_t longest[HKDF_MAX_BYTES], some[100], hash[32], want[32];

	hkdf_sha256(ikm, sizeof(ikm), NULL, 0, "", 0, longest, sizeof(longest));
	for (size_t len = 0; len < sizeof(some); len++) {
		memset(some, 0xee, sizeof(some));
		hkdf_sha256(ikm, sizeof(ikm), NULL, 0, "", 0, some, len);
		assert_memory_equal(some, longest, len);
		assert_int_equal(some[len], 0xee);
	}
	crypto_hash_sha256(hash, longest, sizeof(longest));
	from_hex("35741a9b515760e7e640f60e9d8657af4d09e63be63e55b1b31ca0535721ab80", want,
			sizeof(want));
	assert_memory_equal(hash, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_rfc5869),
			cmocka_unit_test(test_null_salt_is_the_empty_salt),
			cmocka_unit_test(test_lengths),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
