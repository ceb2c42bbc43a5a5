/* Reading of any range of a sealed payload, as a player asks for it.
 *
 * STREAM says only at its last chunk that it is whole: a file cut at a chunk's end is made of good
 * chunks. So:
 *
 *   1. No byte is released before the final chunk opened as final (age_range_open()). From then on
 *      the number of chunks is known, and each chunk is opened under its own number and flag.
 *   2. A chunk is decrypted whole or not at all; what is returned was verified in that very call,
 *      or lies in the one chunk that is kept (`cached`).
 *   3. When a chunk fails to open, nothing is kept: the buffer may hold half of it.
 *
 * The file may be changed by others while it is read; each chunk is verified after it was read into
 * memory of ours. */
#include "crypto/age_stream.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"

struct age_range {
	int fd;
	off_t payload_offset;
	uint64_t plain_bytes;
	uint64_t chunks;
	uint64_t cached; /* the chunk in plain, or UINT64_MAX */
	uint8_t *key;
	uint8_t sealed[AGE_SEALED_CHUNK_BYTES];
	uint8_t plain[AGE_CHUNK_BYTES];
};

struct age_range *age_range_free(struct age_range *range)
{
	if (!range)
		return NULL;
	secret_free(range->key);
	sodium_memzero(range->plain, sizeof(range->plain));
	free(range);
	return NULL;
}

static void age_range_free_p(struct age_range **range)
{
	age_range_free(*range);
}

uint64_t age_range_plain_bytes(const struct age_range *range)
{
	return range->plain_bytes;
}

/* Plaintext bytes in a chunk: all full but the last. */
static size_t chunk_bytes(const struct age_range *range, uint64_t chunk)
{
	if (chunk + 1 < range->chunks)
		return AGE_CHUNK_BYTES;
	return (size_t)(range->plain_bytes - chunk * AGE_CHUNK_BYTES);
}

/* Opens a chunk into plain, which has room for it. */
static int open_chunk(struct age_range *range, uint64_t chunk, uint8_t *ret_plain)
{
	size_t sealed_len = chunk_bytes(range, chunk) + AGE_TAG_BYTES, len;
	off_t offset = range->payload_offset + (off_t)(chunk * AGE_SEALED_CHUNK_BYTES);
	int r = io_pread_full(range->fd, range->sealed, sealed_len, offset, &len);

	if (r < 0)
		return r;
	if (len != sealed_len)
		return -RE_PAYLOAD;
	return age_stream_open_chunk(range->key, chunk, chunk + 1 == range->chunks, range->sealed,
			sealed_len, ret_plain);
}

static int cache_chunk(struct age_range *range, uint64_t chunk)
{
	if (range->cached == chunk)
		return 0;
	range->cached = UINT64_MAX;
	int r = open_chunk(range, chunk, range->plain);
	if (r == 0)
		range->cached = chunk;
	return r;
}

static int measure_payload(struct age_range *range)
{
	struct stat st;

	if (fstat(range->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (range->payload_offset < 0 || range->payload_offset > st.st_size)
		return -RE_PAYLOAD;
	int r = age_stream_plain_bytes(
			(uint64_t)(st.st_size - range->payload_offset), &range->plain_bytes);
	if (r < 0)
		return r;
	range->chunks = range->plain_bytes / AGE_CHUNK_BYTES +
			(range->plain_bytes % AGE_CHUNK_BYTES != 0 || range->plain_bytes == 0);
	return 0;
}

int age_range_open(int fd, off_t payload_offset, const uint8_t key[static AGE_PAYLOAD_KEY_BYTES],
		struct age_range **ret_range)
{
	_cleanup_(age_range_free_p) struct age_range *range = malloc(sizeof(*range));

	if (!range)
		return -ENOMEM;
	range->fd = fd;
	range->payload_offset = payload_offset;
	range->cached = UINT64_MAX;
	range->key = secret_new(AGE_PAYLOAD_KEY_BYTES);
	if (!range->key)
		return -ENOMEM;
	memcpy(range->key, key, AGE_PAYLOAD_KEY_BYTES);
	int r = measure_payload(range);
	if (r == 0)
		r = cache_chunk(range, range->chunks - 1);
	if (r < 0)
		return r;
	*ret_range = TAKE_PTR(range);
	return 0;
}

/* Bytes of one chunk from an offset within it: opened in place when the caller wants all of it,
 * else through the cache, so that small reads open each chunk once. */
static int read_from_chunk(
		struct age_range *range, uint64_t chunk, size_t skip, uint8_t *buf, size_t n)
{
	if (n == AGE_CHUNK_BYTES && range->cached != chunk)
		return open_chunk(range, chunk, buf);
	int r = cache_chunk(range, chunk);
	if (r == 0)
		memcpy(buf, range->plain + skip, n);
	return r;
}

int age_range_read(struct age_range *range, void *buf, size_t len, uint64_t offset, size_t *ret_len)
{
	size_t done = 0;

	if (offset >= range->plain_bytes)
		len = 0;
	else if (len > range->plain_bytes - offset)
		len = (size_t)(range->plain_bytes - offset);
	while (done < len) {
		uint64_t chunk = (offset + done) / AGE_CHUNK_BYTES;
		size_t skip = (size_t)((offset + done) % AGE_CHUNK_BYTES);
		size_t n = chunk_bytes(range, chunk) - skip;
		if (n > len - done)
			n = len - done;
		int r = read_from_chunk(range, chunk, skip, (uint8_t *)buf + done, n);
		if (r < 0)
			return r;
		done += n;
	}
	*ret_len = done;
	return 0;
}
