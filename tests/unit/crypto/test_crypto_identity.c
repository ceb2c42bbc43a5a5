#include "crypto/age_identity.h"

#include <errno.h>

#include "tests/unit/support/crypto_fixture.h"

static const uint8_t file_key[AGE_FILE_KEY_BYTES] = "YELLOW SUBMARINE";

struct pair {
	uint8_t secret[AGE_X25519_BYTES], public[AGE_X25519_BYTES];
};

static struct pair pair_of(uint8_t number)
{
	struct pair pair;

	fill(pair.secret, sizeof(pair.secret), number);
	crypto_scalarmult_curve25519_base(pair.public, pair.secret);
	return pair;
}

/* Both unwraps leave the output alone when they fail. */
static int x25519(const struct pair *pair, struct age_stanza *stanzas, size_t n)
{
	const struct age_header header = {.stanzas = stanzas, .n_stanzas = n};
	uint8_t got[AGE_FILE_KEY_BYTES] = {0}, none[AGE_FILE_KEY_BYTES] = {0};
	int r = age_x25519_unwrap(pair->secret, &header, got);

	assert_memory_equal(got, r == 0 ? file_key : none, sizeof(got));
	return r;
}

static int scrypt(const char *passphrase, struct age_stanza *stanzas, size_t n)
{
	const struct age_header header = {.stanzas = stanzas, .n_stanzas = n};
	uint8_t got[AGE_FILE_KEY_BYTES] = {0}, none[AGE_FILE_KEY_BYTES] = {0};
	int r = age_scrypt_unwrap(passphrase, &header, got);

	assert_memory_equal(got, r == 0 ? file_key : none, sizeof(got));
	return r;
}

static void test_x25519(void **state)
{
	struct pair alice = pair_of(1), bob = pair_of(2), eve = pair_of(3);
	struct age_stanza s[2];

	assert_int_equal(age_x25519_wrap(alice.public, file_key, &s[0]), 0);
	assert_int_equal(age_x25519_wrap(bob.public, file_key, &s[1]), 0);
	assert_int_equal(x25519(&alice, s, 2), 0);
	assert_int_equal(x25519(&bob, s, 2), 0);
	assert_int_equal(x25519(&eve, s, 2), -RE_NO_MATCH);
	assert_int_equal(x25519(&bob, s, 1), -RE_NO_MATCH);
	assert_int_equal(scrypt("x", s, 2), -RE_NO_MATCH);
	for (size_t bit = 0; bit < s[0].body_len * 8; bit += 7) {
		s[0].body[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(x25519(&alice, s, 1), -RE_NO_MATCH);
		s[0].body[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	age_stanza_free(&s[0]);
	age_stanza_free(&s[1]);
}

static void test_x25519_is_fresh(void **state)
{
	struct pair alice = pair_of(1);
	struct age_stanza a, b;

	assert_int_equal(age_x25519_wrap(alice.public, file_key, &a), 0);
	assert_int_equal(age_x25519_wrap(alice.public, file_key, &b), 0);
	assert_string_not_equal(a.args[1], b.args[1]);
	assert_memory_not_equal(a.body, b.body, a.body_len);
	age_stanza_free(&a);
	age_stanza_free(&b);
}

/* Points of small order, both as recipient and as share: the all-zero one, 1, and one of order 8 */
static void test_x25519_low_order(void **state)
{
	static const char *const points[] = {
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	};
	struct pair alice = pair_of(1);

	for (size_t i = 0; i < ELEMENTSOF(points); i++) {
		uint8_t point[AGE_X25519_BYTES];
		char text[AGE_BASE64_ROOM(AGE_X25519_BYTES)], line[64] = "X25519 ";
		struct age_stanza stanza = {0};

		from_hex(points[i], point, sizeof(point));
		assert_int_equal(age_x25519_wrap(point, file_key, &stanza), -EINVAL);
		assert_null(stanza.args);
		age_stanza_base64_format(point, sizeof(point), text);
		strcat(line, text);
		assert_int_equal(age_stanza_new(line, strlen(line), 32, &stanza), 0);
		memset(stanza.body, 0, 32);
		assert_int_equal(x25519(&alice, &stanza, 1), -RE_HEADER);
		age_stanza_free(&stanza);
	}
}

/* Any malformed stanza of the type spoils the header, also after one that opens. */
static void test_x25519_malformed(void **state)
{
	struct pair alice = pair_of(1);
	struct age_stanza s[2];

	assert_int_equal(age_x25519_wrap(alice.public, file_key, &s[0]), 0);
	assert_int_equal(age_x25519_wrap(alice.public, file_key, &s[1]), 0);
	s[1].body_len--;
	assert_int_equal(x25519(&alice, s, 2), -RE_HEADER);
	s[1].body_len++;
	s[1].n_args--;
	assert_int_equal(x25519(&alice, s, 2), -RE_HEADER);
	s[1].n_args++;
	s[1].args[1][42] = '/';
	assert_int_equal(x25519(&alice, s, 2), -RE_HEADER);
	age_stanza_free(&s[0]);
	age_stanza_free(&s[1]);
}

static void test_scrypt(void **state)
{
	struct age_stanza s;

	assert_int_equal(age_scrypt_wrap("correct horse", 2, file_key, &s), 0);
	assert_string_equal(s.args[2], "2");
	assert_int_equal(scrypt("correct horse", &s, 1), 0);
	assert_int_equal(scrypt("correct hors", &s, 1), -RE_NO_MATCH);
	s.args[2][0] = '3';
	assert_int_equal(scrypt("correct horse", &s, 1), -RE_NO_MATCH);
	s.args[2][0] = '2';
	s.args[1][0] = s.args[1][0] == 'A' ? 'B' : 'A';
	assert_int_equal(scrypt("correct horse", &s, 1), -RE_NO_MATCH);
	age_stanza_free(&s);

	struct age_stanza none = {0};
	assert_int_equal(age_scrypt_wrap("x", 0, file_key, &none), -EINVAL);
	assert_int_equal(age_scrypt_wrap("x", AGE_SCRYPT_WORK_FACTOR_MAX + 1, file_key, &none),
			-EINVAL);
	assert_null(none.args);
}

/* Refused before any work is done: a header must not make us spend gigabytes. */
static void test_scrypt_work_factor(void **state)
{
	static const char *const bad[] = {"0", "01", "23", "99", "+2", "-2", "0x2", "2x",
			"18446744073709551617", "4294967298"};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		char line[100] = "scrypt AAAAAAAAAAAAAAAAAAAAAA ";
		struct age_stanza stanza;
		strcat(line, bad[i]);
		assert_int_equal(age_stanza_new(line, strlen(line), 32, &stanza), 0);
		memset(stanza.body, 0, 32);
		assert_int_equal(scrypt("x", &stanza, 1), -RE_HEADER);
		age_stanza_free(&stanza);
	}
}

static void test_scrypt_must_be_alone(void **state)
{
	struct pair alice = pair_of(1);
	struct age_stanza s[2];

	assert_int_equal(age_x25519_wrap(alice.public, file_key, &s[0]), 0);
	assert_int_equal(age_scrypt_wrap("x", 1, file_key, &s[1]), 0);
	assert_int_equal(scrypt("x", &s[1], 1), 0);
	assert_int_equal(scrypt("x", s, 2), -RE_HEADER);
	assert_int_equal(x25519(&alice, &s[0], 1), 0);
	assert_int_equal(x25519(&alice, s, 2), -RE_HEADER);
	assert_int_equal(x25519(&alice, &s[1], 1), -RE_NO_MATCH);
	age_stanza_free(&s[0]);
	age_stanza_free(&s[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_x25519),
			cmocka_unit_test(test_x25519_is_fresh),
			cmocka_unit_test(test_x25519_low_order),
			cmocka_unit_test(test_x25519_malformed),
			cmocka_unit_test(test_scrypt),
			cmocka_unit_test(test_scrypt_work_factor),
			cmocka_unit_test(test_scrypt_must_be_alone),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
