#include "daemon/intake/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/secret.h"

#define PLAIN_BYTES ((size_t)SEAL_BUFFER_CHUNKS * AGE_CHUNK_BYTES)

static const char READING[] = "reading the recording", SYNCING[] = "syncing the recording";

struct buffers {
	size_t plain_size;
	uint8_t *plain, *sealed;
};

static void buffers_free(struct buffers *b)
{
	/* Freed memory is used again for who knows what: no audio in it. */
	if (b->plain)
		sodium_memzero(b->plain, b->plain_size);
	free(b->plain);
	free(b->sealed);
}

static int buffers_new(uint64_t size, struct buffers *ret_buffers)
{
	struct buffers b = {.plain_size = size < PLAIN_BYTES ? (size_t)size : PLAIN_BYTES};

	b.plain = malloc(b.plain_size);
	b.sealed = malloc((size_t)age_sealed_bytes(b.plain_size));
	if (!b.plain || !b.sealed) {
		buffers_free(&b);
		return -ENOMEM;
	}
	*ret_buffers = b;
	return 0;
}

/* Seals len bytes, whose first is at offset, into b->sealed. offset is a multiple of a chunk. */
static size_t seal_chunks(const struct seal *seal, const uint8_t *key, const struct buffers *b,
	uint64_t offset, size_t len)
{
	size_t done = 0, out = 0;

	while (done < len) {
		size_t n = len - done < AGE_CHUNK_BYTES ? len - done : AGE_CHUNK_BYTES;
		bool final = offset + done + n == seal->identity->size;
		age_chunk_seal(key, (offset + done) / AGE_CHUNK_BYTES, final, b->plain + done, n,
			b->sealed + out);
		done += n;
		out += n + AGE_TAG_BYTES;
	}
	return out;
}

static int copy_sealed(struct seal *seal, const uint8_t *key, const struct buffers *b)
{
	uint64_t size = seal->identity->size;

	for (uint64_t offset = 0; offset < size;) {
		uint64_t left = size - offset;
		size_t want = left < b->plain_size ? (size_t)left : b->plain_size, got;
		if (atomic_load(&seal->cancelled))
			return SEAL_CANCELLED;
		seal->doing = READING;
		int r = pread_full(seal->source_fd, b->plain, want, (off_t)offset, &got);
		if (r < 0)
			return r;
		if (got != want)
			return SEAL_CHANGED;
		size_t sealed_len = seal_chunks(seal, key, b, offset, got);
		seal->doing = "writing the sealed object";
		r = write_all(seal->object_fd, b->sealed, sealed_len);
		if (r < 0)
			return r;
		offset += got;
		if (offset < size)
			durable_write_behind(seal->object_fd);
	}
	return 0;
}

static int write_preamble(struct seal *seal)
{
	seal->doing = "writing the sealed object";
	int r = write_all(seal->object_fd, seal->header, seal->header_len);
	return r < 0 ? r : write_all(seal->object_fd, seal->nonce, sizeof(seal->nonce));
}

/* The key lives from here to the end of this function. */
static int write_payload(struct seal *seal)
{
	_cleanup_secret_ uint8_t *key = secret_new(AGE_PAYLOAD_KEY_BYTES);
	_cleanup_(buffers_free) struct buffers b = {0};

	seal->doing = "taking the key";
	if (!key)
		return -ENOMEM;
	int r = secret_from_fd(seal->key_fd, key, AGE_PAYLOAD_KEY_BYTES);
	if (r == 0)
		r = buffers_new(seal->identity->size, &b);
	return r < 0 ? r : copy_sealed(seal, key, &b);
}

/* Bridges do not sync. Should a power loss bring the name back after the unlink, it must be with the
 * very state that the keeper knows it by, or a shredded recording could return in part. */
static int sync_source(struct seal *seal)
{
	seal->doing = SYNCING;
	int r = durable_sync(seal->source_fd);
	return r == -EINVAL || r == -EROFS || r == -ENOSYS ? 0 : r;
}

bool seal_failed_at_source(const struct seal *seal)
{
	return seal->doing == READING || seal->doing == SYNCING;
}

int seal_run(struct seal *seal)
{
	if (!source_unchanged(seal->source_fd, seal->identity))
		return SEAL_CHANGED;
	posix_fadvise(seal->source_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	int r = write_preamble(seal);
	if (r == 0)
		r = write_payload(seal);
	if (r != 0)
		return r;
	r = sync_source(seal);
	if (r < 0)
		return r;
	/* Also catches what was appended: the size is part of the state. */
	if (!source_unchanged(seal->source_fd, seal->identity))
		return SEAL_CHANGED;
	if (atomic_load(&seal->cancelled))
		return SEAL_CANCELLED;
	seal->doing = "syncing the sealed object";
	return durable_sync(seal->object_fd);
}
