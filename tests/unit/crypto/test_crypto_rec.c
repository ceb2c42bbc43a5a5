#include "crypto/rec_stanza.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/support/crypto_fixture.h"

static const char tag[] =
		"{\"account\":\"mfzwi\",\"class\":\"default\",\"expires_at\":\"2026-12-23\"}";

struct made {
	struct rec_binding binding;
	uint8_t recording_key[REC_KEY_BYTES], file_key[AGE_FILE_KEY_BYTES];
	uint8_t *bytes;
	size_t len;
	struct age_header header;
	struct rec_stanza rec;
};

static void make(struct made *m)
{
	fill(&m->binding, sizeof(m->binding), 1);
	fill(m->recording_key, sizeof(m->recording_key), 2);
	fill(m->file_key, sizeof(m->file_key), 3);
	assert_int_equal(rec_stanza_build_header(&m->binding, m->recording_key, m->file_key, tag,
					 strlen(tag), &m->bytes, &m->len),
			0);
	assert_int_equal(age_header_parse(m->bytes, m->len, &m->header), 0);
	assert_int_equal(rec_stanza_find(&m->header, &m->rec), 0);
}

static void unmake(struct made *m)
{
	free(m->bytes);
	age_header_free(&m->header);
}

static void refuses(const struct made *m)
{
	uint8_t got[AGE_FILE_KEY_BYTES] = "untouched", before[AGE_FILE_KEY_BYTES] = "untouched";

	assert_int_equal(rec_stanza_unwrap(&m->rec, &m->binding, m->recording_key, got),
			-RE_NO_MATCH);
	assert_memory_equal(got, before, sizeof(got));
}

static void test_round_trip(void **state)
{
	_cleanup_(unmake) struct made m;
	uint8_t got[AGE_FILE_KEY_BYTES], hash[TAG_HASH_BYTES];

	make(&m);
	assert_int_equal(m.header.header_bytes, m.len);
	assert_int_equal(age_header_verify(&m.header, m.bytes, m.file_key), 0);
	assert_memory_equal(m.rec.recording_id, m.binding.recording_id, ULID_BYTES);
	crypto_hash_sha256(hash, (const uint8_t *)tag, strlen(tag));
	assert_memory_equal(m.rec.tag_hash, hash, sizeof(hash));
	assert_int_equal(rec_stanza_unwrap(&m.rec, &m.binding, m.recording_key, got), 0);
	assert_memory_equal(got, m.file_key, sizeof(got));

	const struct age_stanza *found = age_header_find(&m.header, TAG_STANZA_TYPE);
	assert_int_equal(found->body_len, strlen(tag));
	assert_memory_equal(found->body, tag, strlen(tag));
}

/* The construction as the header comment has it, put together by hand. */
static void test_known_construction(void **state)
{
	_cleanup_(unmake) struct made m;
	uint8_t prk[32], key[32], message[19 + 16 + 16 + 1], want[REC_WRAPPED_BYTES];
	const uint8_t nonce[12] = {0};

	make(&m);
	crypto_auth_hmacsha256_state hmac;
	crypto_auth_hmacsha256_init(&hmac, m.rec.nonce, sizeof(m.rec.nonce));
	crypto_auth_hmacsha256_update(&hmac, m.recording_key, sizeof(m.recording_key));
	crypto_auth_hmacsha256_final(&hmac, prk);
	size_t n = strlen("recseal.org/v1/rec");
	memcpy(message, "recseal.org/v1/rec", n);
	memcpy(message + n, m.binding.account_handle, 16);
	memcpy(message + n + 16, m.binding.recording_id, 16);
	message[n + 32] = 1;
	crypto_auth_hmacsha256(key, message, n + 33, prk);
	crypto_aead_chacha20poly1305_ietf_encrypt(want, NULL, m.file_key, sizeof(m.file_key),
			m.rec.tag_hash, sizeof(m.rec.tag_hash), NULL, nonce, key);
	assert_memory_equal(want, m.rec.wrapped, sizeof(want));
}

static void test_nonce_is_fresh(void **state)
{
	_cleanup_(unmake) struct made a, b;

	make(&a);
	make(&b);
	assert_memory_not_equal(a.rec.nonce, b.rec.nonce, sizeof(a.rec.nonce));
	assert_memory_not_equal(a.rec.wrapped, b.rec.wrapped, sizeof(a.rec.wrapped));
}

/* Every bit of what the wrap is bound to counts. */
static void test_every_bit_binds(void **state)
{
	_cleanup_(unmake) struct made m;
	struct {
		void *bytes;
		size_t len;
	} parts[] = {
			{m.binding.account_handle, sizeof(m.binding.account_handle)},
			{m.binding.recording_id, sizeof(m.binding.recording_id)},
			{m.recording_key, sizeof(m.recording_key)},
			{m.rec.recording_id, sizeof(m.rec.recording_id)},
			{m.rec.nonce, sizeof(m.rec.nonce)},
			{m.rec.wrapped, sizeof(m.rec.wrapped)},
			{m.rec.tag_hash, sizeof(m.rec.tag_hash)},
	};

	make(&m);
	for (size_t i = 0; i < ELEMENTSOF(parts); i++)
		for (size_t bit = 0; bit < parts[i].len * 8; bit++) {
			uint8_t *byte = (uint8_t *)parts[i].bytes + bit / 8;
			*byte ^= (uint8_t)(1 << bit % 8);
			refuses(&m);
			*byte ^= (uint8_t)(1 << bit % 8);
		}
}

/* The wrap itself is bound to the id, not only compared with it: both ids changed alike. */
static void test_id_is_in_the_wrap(void **state)
{
	_cleanup_(unmake) struct made m;

	make(&m);
	m.binding.recording_id[5] ^= 1;
	m.rec.recording_id[5] ^= 1;
	refuses(&m);
}

static void test_tag_size(void **state)
{
	struct rec_binding binding = {0};
	uint8_t key[REC_KEY_BYTES] = {0}, file_key[AGE_FILE_KEY_BYTES] = {0}, *bytes = NULL;
	_cleanup_free_ char *large = calloc(1, AGE_HEADER_MAX_BYTES);
	size_t len, most = 0;

	for (size_t n = 48000; n < AGE_HEADER_MAX_BYTES && !most; n++) {
		int r = rec_stanza_build_header(&binding, key, file_key, large, n, &bytes, &len);
		if (r < 0) {
			assert_int_equal(r, -E2BIG);
			most = n - 1;
			break;
		}
		struct age_header header;
		assert_true(len <= AGE_HEADER_MAX_BYTES);
		assert_int_equal(age_header_parse(bytes, len, &header), 0);
		age_header_free(&header);
		free(bytes);
	}
	assert_true(most > 48000);
	assert_int_equal(rec_stanza_build_header(&binding, key, file_key, "", 0, &bytes, &len), 0);
	free(bytes);
}

/* What rec_stanza_find() says of the stanzas in this text. */
static int find(const char *stanzas)
{
	char text[2048];
	struct age_header header;
	struct rec_stanza rec;
	int len = snprintf(text, sizeof(text), "age-encryption.org/v1\n%s--- %.43s\n", stanzas,
			"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

	assert_int_equal(age_header_parse((const uint8_t *)text, (size_t)len, &header), 0);
	int r = rec_stanza_find(&header, &rec);
	age_header_free(&header);
	return r;
}

#define ID    "01arz3ndektsv4rrffq69g5fav"
#define NONCE "AAAAAAAAAAAAAAAAAAAAAA"
#define BODY  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define REC   "-> recseal.org/v1/rec " ID " " NONCE "\n" BODY
#define TAG   "-> recseal.org/v1/tag\ne30\n"

static void test_shape(void **state)
{
	assert_int_equal(find(REC TAG), 0);
	assert_int_equal(find(REC "-> recseal.org/v1/tag\n\n"), 0);

	assert_int_equal(find(TAG), -RE_NO_MATCH);
	assert_int_equal(find("-> X25519 " NONCE "\n" BODY), -RE_NO_MATCH);
	assert_int_equal(find("-> recseal.org/v1/re\n\n" TAG), -RE_NO_MATCH);

	assert_int_equal(find(REC), -RE_HEADER);
	assert_int_equal(find(TAG REC), -RE_HEADER);
	assert_int_equal(find(REC REC), -RE_HEADER);
	assert_int_equal(find(REC TAG TAG), -RE_HEADER);
	assert_int_equal(find(REC REC TAG), -RE_HEADER);
	assert_int_equal(find(REC TAG "-> X25519 " NONCE "\n" BODY), -RE_HEADER);
	assert_int_equal(find("-> grease\n\n" REC TAG), -RE_HEADER);
	assert_int_equal(find(REC "-> recseal.org/v1/tag extra\ne30\n"), -RE_HEADER);
	assert_int_equal(find(REC "-> recseal.org/v2/tag\ne30\n"), -RE_HEADER);
}

static void test_rec_arguments(void **state)
{
	static const char *const bad[] = {
			"-> recseal.org/v1/rec\n" BODY,
			"-> recseal.org/v1/rec " ID "\n" BODY,
			"-> recseal.org/v1/rec " ID " " NONCE " x\n" BODY,
			"-> recseal.org/v1/rec 01ARZ3NDEKTSV4RRFFQ69G5FAV " NONCE "\n" BODY,
			"-> recseal.org/v1/rec 01arz3ndektsv4rrffq69g5fa " NONCE "\n" BODY,
			"-> recseal.org/v1/rec 81arz3ndektsv4rrffq69g5fav " NONCE "\n" BODY,
			"-> recseal.org/v1/rec 01arz3ndektsv4rrffq69g5fau " NONCE "\n" BODY,
			"-> recseal.org/v1/rec " ID " AAAAAAAAAAAAAAAAAAAAAB\n" BODY,
			"-> recseal.org/v1/rec " ID " AAAAAAAAAAAAAAAAAAAAAA==\n" BODY,
			"-> recseal.org/v1/rec " ID " AAAAAAAAAAAAAAAAAAAAA\n" BODY,
			"-> recseal.org/v1/rec " ID " " NONCE "AA\n" BODY,
			"-> recseal.org/v1/rec " ID " " NONCE "\n\n",
			"-> recseal.org/v1/rec " ID " " NONCE "\nAAAA" BODY,
			"-> recseal.org/v1/rec " ID " " NONCE "\nAAAAAAAAAAAAAAAAAAAAAA\n",
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		char text[512];
		snprintf(text, sizeof(text), "%s" TAG, bad[i]);
		assert_int_equal(find(text), -RE_HEADER);
	}
}

/* A stanza as a plugin gets it: no type among its arguments, no tag beside it. */
static void test_plugin_form(void **state)
{
	_cleanup_(unmake) struct made m;
	uint8_t no_hash[TAG_HASH_BYTES] = {0};
	struct rec_stanza rec;

	make(&m);
	struct age_stanza bare = m.header.stanzas[0];
	assert_int_equal(rec_stanza_parse(&bare, &rec), -RE_HEADER);
	bare.args++;
	bare.n_args--;
	assert_int_equal(rec_stanza_parse(&bare, &rec), 0);
	assert_memory_equal(rec.tag_hash, no_hash, sizeof(no_hash));
	assert_memory_equal(rec.nonce, m.rec.nonce, sizeof(rec.nonce));
	assert_memory_equal(rec.wrapped, m.rec.wrapped, sizeof(rec.wrapped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_round_trip),
			cmocka_unit_test(test_known_construction),
			cmocka_unit_test(test_nonce_is_fresh),
			cmocka_unit_test(test_every_bit_binds),
			cmocka_unit_test(test_id_is_in_the_wrap),
			cmocka_unit_test(test_tag_size),
			cmocka_unit_test(test_shape),
			cmocka_unit_test(test_rec_arguments),
			cmocka_unit_test(test_plugin_form),
	};
	return cmocka_run_group_tests(tests, crypto_setup, NULL);
}
