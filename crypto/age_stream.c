#include "crypto/age_stream.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/hkdf.h"

#define NONCE_BYTES crypto_aead_chacha20poly1305_IETF_NPUBBYTES

_Static_assert(AGE_TAG_BYTES == crypto_aead_chacha20poly1305_IETF_ABYTES, "tag size");
_Static_assert(AGE_PAYLOAD_KEY_BYTES == crypto_aead_chacha20poly1305_IETF_KEYBYTES, "key size");

void age_stream_payload_key(const uint8_t file_key[static AGE_FILE_KEY_BYTES],
		const uint8_t nonce[static AGE_PAYLOAD_NONCE_BYTES],
		uint8_t ret_key[static AGE_PAYLOAD_KEY_BYTES])
{
	hkdf_sha256(file_key, AGE_FILE_KEY_BYTES, nonce, AGE_PAYLOAD_NONCE_BYTES, "payload", 7,
			ret_key, AGE_PAYLOAD_KEY_BYTES);
}

uint64_t age_stream_sealed_bytes(uint64_t plain_bytes)
{
	uint64_t chunks = plain_bytes / AGE_CHUNK_BYTES + (plain_bytes % AGE_CHUNK_BYTES != 0);

	return plain_bytes + AGE_TAG_BYTES * (chunks ? chunks : 1);
}

int age_stream_plain_bytes(uint64_t sealed_bytes, uint64_t *ret_plain_bytes)
{
	uint64_t full = sealed_bytes / AGE_SEALED_CHUNK_BYTES;
	uint64_t rest = sealed_bytes % AGE_SEALED_CHUNK_BYTES;
	bool whole = rest == 0 && full > 0;
	bool empty = rest == AGE_TAG_BYTES && full == 0;

	if (!whole && !empty && rest <= AGE_TAG_BYTES)
		return -RE_PAYLOAD;
	*ret_plain_bytes = full * AGE_CHUNK_BYTES + (rest ? rest - AGE_TAG_BYTES : 0);
	return 0;
}

/* An 11-byte big-endian counter, then the final flag. */
static void chunk_nonce(uint64_t counter, bool final, uint8_t ret_nonce[static NONCE_BYTES])
{
	for (int i = 10; i >= 0; i--) {
		ret_nonce[i] = (uint8_t)counter;
		counter >>= 8;
	}
	ret_nonce[11] = final;
}

void age_stream_seal_chunk(const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], uint64_t counter,
		bool final, const uint8_t *plain, size_t len, uint8_t *ret_sealed)
{
	uint8_t nonce[NONCE_BYTES];

	chunk_nonce(counter, final, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(
			ret_sealed, NULL, plain, len, NULL, 0, NULL, nonce, key);
}

int age_stream_open_chunk(const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], uint64_t counter,
		bool final, const uint8_t *sealed, size_t sealed_len, uint8_t *ret_plain)
{
	uint8_t nonce[NONCE_BYTES];

	chunk_nonce(counter, final, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(
			    ret_plain, NULL, NULL, sealed, sealed_len, NULL, 0, nonce, key))
		return -RE_PAYLOAD;
	return 0;
}

int age_stream_check_chunk(const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], uint64_t counter,
		bool final, const uint8_t *sealed, size_t sealed_len)
{
	uint8_t nonce[NONCE_BYTES];

	if (sealed_len < AGE_TAG_BYTES)
		return -RE_PAYLOAD;
	size_t len = sealed_len - AGE_TAG_BYTES;
	chunk_nonce(counter, final, nonce);
	/* Without a place for the plaintext libsodium stops after the tag. */
	return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
			       NULL, NULL, sealed, len, sealed + len, NULL, 0, nonce, key)
			       ? -RE_PAYLOAD
			       : 0;
}

#define BLOCK_OF_CHACHA20 64
#define COMPARED_BYTES    ((size_t)64 * BLOCK_OF_CHACHA20) /* at once */

/* RFC 8439, section 2.8: the text is encrypted with the key stream from block 1 on. */
int age_stream_same_chunk(const uint8_t key_a[static AGE_PAYLOAD_KEY_BYTES],
		const uint8_t *sealed_a, const uint8_t key_b[static AGE_PAYLOAD_KEY_BYTES],
		const uint8_t *sealed_b, uint64_t counter, bool final, size_t sealed_len)
{
	uint8_t nonce[NONCE_BYTES], difference[COMPARED_BYTES];
	bool same = true;
	int r = age_stream_check_chunk(key_a, counter, final, sealed_a, sealed_len);

	if (r == 0)
		r = age_stream_check_chunk(key_b, counter, final, sealed_b, sealed_len);
	if (r < 0)
		return r;
	size_t len = sealed_len - AGE_TAG_BYTES;
	chunk_nonce(counter, final, nonce);
	for (size_t at = 0, n; at < len && same; at += n) {
		uint32_t block = 1 + (uint32_t)(at / BLOCK_OF_CHACHA20);
		n = len - at < COMPARED_BYTES ? len - at : COMPARED_BYTES;
		memset(difference, 0, n);
		crypto_stream_chacha20_ietf_xor_ic(difference, difference, n, nonce, block, key_a);
		crypto_stream_chacha20_ietf_xor_ic(difference, difference, n, nonce, block, key_b);
		for (size_t i = 0; i < n; i++)
			difference[i] ^= sealed_a[at + i];
		same = memcmp(difference, sealed_b + at, n) == 0;
	}
	sodium_memzero(difference, sizeof(difference));
	return same;
}

/* Reads until len bytes or the end, from a pipe as well. */
static int read_full(int fd, uint8_t *buf, size_t len, size_t *ret_len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

struct stream {
	const uint8_t *key;
	uint64_t counter;
	uint8_t sealed[AGE_SEALED_CHUNK_BYTES];
	uint8_t plain[AGE_CHUNK_BYTES];
};

/* 0: the final chunk opened; 1: another chunk opened; -RE_PAYLOAD. A full chunk may be either; it
 * is tried as not final first, since nearly all are. */
static int open_next(struct stream *s, size_t sealed_len)
{
	if (sealed_len < AGE_TAG_BYTES || (sealed_len == AGE_TAG_BYTES && s->counter > 0))
		return -RE_PAYLOAD;
	if (sealed_len == AGE_SEALED_CHUNK_BYTES &&
			age_stream_open_chunk(s->key, s->counter, false, s->sealed, sealed_len,
					s->plain) == 0)
		return 1;
	return age_stream_open_chunk(s->key, s->counter, true, s->sealed, sealed_len, s->plain);
}

static int expect_end(int fd)
{
	uint8_t byte;
	size_t len;
	int r = read_full(fd, &byte, 1, &len);

	if (r < 0)
		return r;
	return len == 0 ? 0 : -RE_PAYLOAD;
}

static int open_all(struct stream *s, int fd, age_sink sink, void *context)
{
	int more;

	do {
		size_t len;
		int r = read_full(fd, s->sealed, sizeof(s->sealed), &len);
		if (r < 0)
			return r;
		more = open_next(s, len);
		if (more < 0)
			return more;
		r = sink(context, s->plain, len - AGE_TAG_BYTES);
		if (r < 0)
			return r;
		s->counter++;
	} while (more);
	return expect_end(fd);
}

int age_stream_open_payload(int fd, const uint8_t key[static AGE_PAYLOAD_KEY_BYTES], age_sink sink,
		void *context)
{
	_cleanup_free_ struct stream *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->key = key;
	s->counter = 0;
	int r = open_all(s, fd, sink, context);
	sodium_memzero(s->plain, sizeof(s->plain));
	return r;
}
