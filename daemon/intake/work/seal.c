#include "daemon/intake/work/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/secret.h"
#include "daemon/intake/work/object_writer.h"
#include "daemon/intake/work/workspace.h"

/* Small enough to be in the processor's cache still when it is being sealed. */
#define PLAIN_BYTES ((size_t)SEAL_BUFFER_CHUNKS * AGE_CHUNK_BYTES)

static const char READING[] = "reading the recording", SYNCING[] = "syncing the recording",
		  WRITING[] = "writing the sealed object";

struct buffers {
	struct workspace memory;
	size_t plain_size;
	struct object_writer object;
};

static void seal_buffers_free(struct buffers *b)
{
	workspace_give_back(&b->memory);
}

static uint64_t seal_object_bytes(const struct seal *seal)
{
	return seal->header_len + sizeof(seal->nonce) +
	       age_stream_sealed_bytes(seal->identity->size);
}

static int seal_buffers_new(const struct seal *seal, struct buffers *ret_buffers)
{
	struct buffers b = {0};
	uint64_t size = seal->identity->size, object = seal_object_bytes(seal);
	size_t piece_max = seal->header_len > AGE_SEALED_CHUNK_BYTES ? seal->header_len
								     : AGE_SEALED_CHUNK_BYTES;

	b.plain_size = size < PLAIN_BYTES ? (size_t)size : PLAIN_BYTES;
	int r = workspace_take(b.plain_size, object_writer_block(object, piece_max), &b.memory);
	if (r < 0)
		return r;
	object_writer_begin(&b.object, seal->object_fd, object, b.memory.sealed);
	*ret_buffers = b;
	return 0;
}

/* Seals the len bytes in b->memory.plain, whose first is at offset. offset is a multiple of a
 * chunk. */
static int seal_chunks(const struct seal *seal, const uint8_t *key, struct buffers *b,
		uint64_t offset, size_t len)
{
	int r = 0;

	for (size_t done = 0, n; done < len && r == 0; done += n) {
		n = len - done < AGE_CHUNK_BYTES ? len - done : AGE_CHUNK_BYTES;
		bool final = offset + done + n == seal->identity->size;
		age_stream_seal_chunk(key, (offset + done) / AGE_CHUNK_BYTES, final,
				b->memory.plain + done, n, object_writer_next(&b->object));
		r = object_writer_added(&b->object, n + AGE_TAG_BYTES);
	}
	return r;
}

static int seal_copy(struct seal *seal, const uint8_t *key, struct buffers *b)
{
	uint64_t size = seal->identity->size;

	for (uint64_t offset = 0; offset < size;) {
		uint64_t left = size - offset;
		size_t want = left < b->plain_size ? (size_t)left : b->plain_size, got;
		/* Before each buffer, so that a writer or a stop waits a moment only. */
		if (atomic_load(&seal->cancelled))
			return SEAL_CANCELLED;
		seal->doing = READING;
		int r = io_pread_full(seal->source_fd, b->memory.plain, want, (off_t)offset, &got);
		if (r < 0)
			return r;
		atomic_fetch_add(&seal->progress, 1);
		/* It was cut short meanwhile. */
		if (got != want)
			return SEAL_CHANGED;
		seal->doing = WRITING;
		r = seal_chunks(seal, key, b, offset, got);
		if (r < 0)
			return r;
		offset += got;
	}
	return 0;
}

static int seal_add_preamble(struct seal *seal, struct object_writer *object)
{
	memcpy(object_writer_next(object), seal->header, seal->header_len);
	int r = object_writer_added(object, seal->header_len);
	if (r < 0)
		return r;
	memcpy(object_writer_next(object), seal->nonce, sizeof(seal->nonce));
	return object_writer_added(object, sizeof(seal->nonce));
}

static int seal_write_object(struct seal *seal, const uint8_t *key, struct buffers *b)
{
	seal->doing = WRITING;
	int r = seal_add_preamble(seal, &b->object);
	if (r == 0)
		r = seal_copy(seal, key, b);
	if (r != 0)
		return r;
	seal->doing = WRITING;
	return object_writer_end(&b->object);
}

/* The key lives from here to the end of this function. */
static int seal_write_payload(struct seal *seal)
{
	_cleanup_secret_ uint8_t *key = secret_new(AGE_PAYLOAD_KEY_BYTES);
	_cleanup_(seal_buffers_free) struct buffers b = {0};

	seal->doing = "taking the key";
	if (!key)
		return -ENOMEM;
	int r = secret_from_fd(seal->key_fd, key, AGE_PAYLOAD_KEY_BYTES);
	if (r == 0)
		r = seal_buffers_new(seal, &b);
	return r < 0 ? r : seal_write_object(seal, key, &b);
}

/* Bridges do not sync. Should a power loss bring the name back after the unlink, the file must have
 * the very state by which the keeper knows it, or a shredded recording could return in part. */
static int seal_sync_source(struct seal *seal)
{
	seal->doing = SYNCING;
	int r = durable_sync(seal->source_fd);
	/* A filesystem that cannot sync, or that nobody can write to, has nothing to lose. */
	return r == -EINVAL || r == -EROFS || r == -ENOSYS ? 0 : r;
}

bool seal_failed_at_source(const struct seal *seal)
{
	return seal->doing == READING || seal->doing == SYNCING;
}

int seal_run(struct seal *seal)
{
	/* It may have changed between the claim and the thread's turn. */
	if (!source_unchanged(seal->source_fd, seal->identity))
		return SEAL_CHANGED;
	posix_fadvise(seal->source_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	int r = seal_write_payload(seal);
	if (r != 0)
		return r;
	r = seal_sync_source(seal);
	if (r < 0)
		return r;
	/* Catches appended bytes as well: the size is part of the state. */
	if (!source_unchanged(seal->source_fd, seal->identity))
		return SEAL_CHANGED;
	/* Clean pages that nobody reads again: not to lie in memory longer than they must. */
	posix_fadvise(seal->source_fd, 0, 0, POSIX_FADV_DONTNEED);
	if (atomic_load(&seal->cancelled))
		return SEAL_CANCELLED;
	seal->doing = "syncing the sealed object";
	return durable_sync(seal->object_fd);
}
