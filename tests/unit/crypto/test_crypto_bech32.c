#include "crypto/bech32.h"

#include <ctype.h>
#include <errno.h>

#include "crypto/age_identity.h"
#include "tests/unit/support/crypto_fixture.h"

/* BIP-173, "Test vectors"; the fifth has 410 bits of data: 51 bytes and two bits of padding. */
static const char *const valid[] = {
		"A12UEL5L",
		"a12uel5l",
		"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tg"
		"s",
		"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
		"11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247"
		"j",
		"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
		"?1ezyfcl",
};

/* BIP-173 again; its overlong one is left out, since age knows no limit. */
static const char *const invalid[] = {
		"\x20"
		"1nwldj5",
		"\x7f"
		"1axkwrx",
		"\x80"
		"1eym55h",
		"pzry9x0s0muk",
		"1pzry9x0s0muk",
		"x1b4n0q5v",
		"li1dgmt3",
		"de1lg7wt\xff",
		"A1G7SGD8",
		"10a06t8",
		"1qzzfhee",
		"A12uEL5L",
};

/* Decodes with the prefix and the length that the text itself shows. */
static int decode(const char *text, char prefix[static 100], uint8_t bytes[static 64], size_t *len)
{
	const char *separator = strrchr(text, '1');

	if (!separator || strlen(separator + 1) < 6)
		return -EINVAL;
	memcpy(prefix, text, (size_t)(separator - text));
	prefix[separator - text] = '\0';
	*len = (strlen(separator + 1) - 6) * 5 / 8;
	return bech32_decode(text, prefix, bytes, *len);
}

static void test_valid(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(valid); i++) {
		_cleanup_free_ char *again = NULL;
		char prefix[100], small[100] = "";
		uint8_t bytes[64];
		size_t len;

		assert_int_equal(decode(valid[i], prefix, bytes, &len), 0);
		for (size_t c = 0; prefix[c]; c++)
			prefix[c] = (char)tolower(prefix[c]);
		for (size_t c = 0; valid[i][c]; c++)
			small[c] = (char)tolower(valid[i][c]);
		assert_int_equal(bech32_encode(prefix, bytes, len, &again), 0);
		assert_string_equal(again, small);
	}
}

static void test_data_of_a_vector(void **state)
{
	uint8_t bytes[20], want[20];

	from_hex("00443214c74254b635cf84653a56d7c675be77df", want, sizeof(want));
	assert_int_equal(bech32_decode(valid[3], "abcdef", bytes, sizeof(bytes)), 0);
	assert_memory_equal(bytes, want, sizeof(want));
}

static void test_invalid(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(invalid); i++) {
		char prefix[100];
		uint8_t bytes[64];
		size_t len;

		assert_int_equal(decode(invalid[i], prefix, bytes, &len), -EINVAL);
	}
}

/* One wrong character is always found (a BCH code), and so is padding that is not zero. */
static void test_every_substitution(void **state)
{
	static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	_cleanup_free_ char *text = NULL;
	uint8_t data[32], got[32], untouched[32] = {0};

	fill(data, sizeof(data), 1);
	assert_int_equal(bech32_encode("age", data, sizeof(data), &text), 0);
	for (size_t i = 4; text[i]; i++) {
		char right = text[i];
		for (const char *c = alphabet; *c; c++) {
			memset(got, 0, sizeof(got));
			text[i] = *c;
			int want = *c == right ? 0 : -EINVAL;
			assert_int_equal(bech32_decode(text, "age", got, sizeof(got)), want);
			assert_memory_equal(got, want ? untouched : data, sizeof(got));
		}
		text[i] = right;
	}
}

static void test_round_trip(void **state)
{
	uint8_t data[70], got[70];

	fill(data, sizeof(data), 2);
	for (size_t len = 0; len <= sizeof(data); len++) {
		_cleanup_free_ char *text = NULL;
		assert_int_equal(bech32_encode("x-", data, len, &text), 0);
		assert_int_equal(bech32_decode(text, "x-", got, len), 0);
		assert_memory_equal(got, data, len);
		assert_int_equal(bech32_decode(text, "x-", got, len + 1), -EINVAL);
		if (len > 0)
			assert_int_equal(bech32_decode(text, "x-", got, len - 1), -EINVAL);
		assert_int_equal(bech32_decode(text, "x", got, len), -EINVAL);
		assert_int_equal(bech32_decode(text, "X-", got, len), -EINVAL);
	}
}

/* Under a right checksum: one byte in two characters, whose last two bits must be zero, and one
 * character, which carries no byte. */
static void test_padding(void **state)
{
	uint8_t got[1];

	assert_int_equal(bech32_decode("p1luwnu0yt", "p", got, 1), 0);
	assert_int_equal(got[0], 0xff);
	assert_int_equal(bech32_decode("p1lan9g6ee", "p", got, 1), -EINVAL);
	assert_int_equal(bech32_decode("p1l7akavhx", "p", got, 1), -EINVAL);
	assert_int_equal(bech32_decode("p1qcqnlvv", "p", got, 0), -EINVAL);
}

static void test_cut_short(void **state)
{
	uint8_t got[1];

	assert_int_equal(bech32_decode("", "p", got, 1), -EINVAL);
	assert_int_equal(bech32_decode("p", "p", got, 1), -EINVAL);
	assert_int_equal(bech32_decode("p1", "p", got, 1), -EINVAL);
	assert_int_equal(bech32_decode("p1", "", got, 1), -EINVAL);
}

static void test_bad_prefix(void **state)
{
	uint8_t data[1] = {0};
	char *text = NULL;

	assert_int_equal(bech32_encode("", data, 1, &text), -EINVAL);
	assert_int_equal(bech32_encode("a b", data, 1, &text), -EINVAL);
	assert_int_equal(bech32_encode("AGE", data, 1, &text), -EINVAL);
	assert_null(text);
}

/* The pair of keys in the age specification. */
static void test_age_example(void **state)
{
	static const char identity[] =
			"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
	static const char recipient[] =
			"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
	_cleanup_free_ char *text = NULL;
	uint8_t secret[32], public[32], derived[32], want[32];

	memset(want, 0x42, sizeof(want));
	assert_int_equal(age_x25519_identity_parse(identity, secret), 0);
	assert_memory_equal(secret, want, sizeof(want));
	assert_int_equal(age_x25519_recipient_parse(recipient, public), 0);
	crypto_scalarmult_curve25519_base(derived, secret);
	assert_memory_equal(public, derived, sizeof(derived));
	assert_int_equal(age_x25519_recipient_format(public, &text), 0);
	assert_string_equal(text, recipient);
	assert_int_equal(age_x25519_identity_parse(recipient, secret), -EINVAL);
	assert_int_equal(age_x25519_recipient_parse(identity, public), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_valid),
			cmocka_unit_test(test_data_of_a_vector),
			cmocka_unit_test(test_invalid),
			cmocka_unit_test(test_every_substitution),
			cmocka_unit_test(test_round_trip),
			cmocka_unit_test(test_padding),
			cmocka_unit_test(test_cut_short),
			cmocka_unit_test(test_bad_prefix),
			cmocka_unit_test(test_age_example),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
