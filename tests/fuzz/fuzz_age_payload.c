/* Fuzz target: the age payload, front to back and at any place.
 *
 * An input is no ciphertext, which would never open, but a recipe: the length of a plaintext, what
 * is done to its sealed bytes, and where to read. Whatever is done, no byte comes out that was not
 * sealed at that place; and both readers agree on whether the payload is sound. */
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/age_stream.h"

#define PLAIN_MAX  (3 * AGE_CHUNK_BYTES)
#define SEALED_MAX (PLAIN_MAX + 4 * AGE_TAG_BYTES + 1024)
#define EDITS_MAX  8
#define READS_MAX  8

struct payload {
	uint8_t plain[PLAIN_MAX], sealed[SEALED_MAX], original[SEALED_MAX], read[PLAIN_MAX];
	size_t plain_len, sealed_len, original_len, streamed;
};

static const uint8_t key[AGE_PAYLOAD_KEY_BYTES] = "a payload key";
static struct payload payload;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(sodium_init() >= 0);
	for (size_t i = 0; i < sizeof(payload.plain); i++)
		payload.plain[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

static void seal_plain(struct payload *p)
{
	uint64_t counter = 0;

	p->sealed_len = 0;
	for (size_t at = 0; at < p->plain_len || counter == 0; counter++) {
		size_t left = p->plain_len - at,
		       n = left < AGE_CHUNK_BYTES ? left : AGE_CHUNK_BYTES;
		age_stream_seal_chunk(key, counter, n == left, p->plain + at, n,
				p->sealed + p->sealed_len);
		p->sealed_len += n + AGE_TAG_BYTES;
		at += n;
	}
	FUZZ_REQUIRE(age_stream_sealed_bytes(p->plain_len) == p->sealed_len);
	p->original_len = p->sealed_len;
	memcpy(p->original, p->sealed, p->sealed_len);
}

static void edit_sealed(struct payload *p, unsigned edit, size_t at, uint8_t value)
{
	size_t from = (size_t)value % 4 * AGE_SEALED_CHUNK_BYTES;

	switch (edit % 4) {
	case 0: /* a byte is changed */
		if (at < p->sealed_len)
			p->sealed[at] ^= value;
		break;
	case 1: /* the end is cut off */
		if (at < p->sealed_len)
			p->sealed_len = at;
		break;
	case 2: /* bytes are appended */
		if (p->sealed_len + value <= sizeof(p->sealed)) {
			memset(p->sealed + p->sealed_len, (int)(at & 0xff), value);
			p->sealed_len += value;
		}
		break;
	case 3: /* a chunk is put in the place of another */
		at = at % 4 * AGE_SEALED_CHUNK_BYTES;
		if (from + AGE_SEALED_CHUNK_BYTES <= p->sealed_len &&
				at + AGE_SEALED_CHUNK_BYTES <= p->sealed_len)
			memmove(p->sealed + at, p->sealed + from, AGE_SEALED_CHUNK_BYTES);
		break;
	}
}

/* age_sink: what comes must be the plaintext, from its beginning. */
static int check_piece(void *context, const uint8_t *plain, size_t len)
{
	struct payload *p = context;

	FUZZ_REQUIRE(len <= p->plain_len - p->streamed);
	FUZZ_REQUIRE(memcmp(p->plain + p->streamed, plain, len) == 0);
	p->streamed += len;
	return 0;
}

/* Whether all that was read is sound; it is always what was sealed there. */
static bool read_range(struct payload *p, struct age_range *range, size_t len, size_t offset)
{
	size_t n = 0;
	int r = age_range_read(range, p->read, len, offset, &n);

	FUZZ_REQUIRE(r == 0 || r == -RE_PAYLOAD);
	if (r < 0)
		return false;
	FUZZ_REQUIRE(n <= len && (offset >= p->plain_len ? n == 0 : n <= p->plain_len - offset));
	FUZZ_REQUIRE(n == 0 || memcmp(p->read, p->plain + offset, n) == 0);
	return true;
}

static bool read_ranges(struct payload *p, int fd, const uint8_t **data, size_t *size)
{
	struct age_range *range;
	int r = age_range_open(fd, 0, key, &range);

	FUZZ_REQUIRE(r == 0 || r == -RE_PAYLOAD);
	if (r < 0)
		return false;
	FUZZ_REQUIRE(age_range_plain_bytes(range) <= p->plain_len);
	for (int i = 0; i<READS_MAX && * size> 0; i++) {
		size_t offset = (size_t)fuzz_number(data, size, 3);
		read_range(p, range, (size_t)fuzz_number(data, size, 3) % PLAIN_MAX, offset);
	}
	bool sound = read_range(p, range, PLAIN_MAX, 0);
	age_range_free(range);
	return sound;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct payload *p = &payload;
	unsigned edits;

	p->plain_len = (size_t)fuzz_number(&data, &size, 3) % (PLAIN_MAX + 1);
	p->streamed = 0;
	seal_plain(p);
	edits = fuzz_byte(&data, &size) % EDITS_MAX;
	for (unsigned i = 0; i < edits; i++) {
		uint8_t edit = fuzz_byte(&data, &size), value = fuzz_byte(&data, &size);
		edit_sealed(p, edit, (size_t)fuzz_number(&data, &size, 3), value);
	}
	bool same = p->sealed_len == p->original_len &&
		    memcmp(p->sealed, p->original, p->sealed_len) == 0;
	int fd = fuzz_file(p->sealed, p->sealed_len);
	int r = age_stream_open_payload(fd, key, check_piece, p);
	FUZZ_REQUIRE(r == (same ? 0 : -RE_PAYLOAD));
	FUZZ_REQUIRE(!same || p->streamed == p->plain_len);
	FUZZ_REQUIRE(read_ranges(p, fd, &data, &size) == same);
	return 0;
}
