/* Writes an object front to back, in blocks as large as the disk likes them.
 *
 * A large object goes past the page cache (O_DIRECT) where the filesystem can do that: nobody reads
 * it soon, and copying it into the cache, to be written out of it later, costs as much processor
 * time as a third of the sealing, and pushes out of memory what others need. Where the filesystem
 * cannot do that, and for small objects, the cache is written behind.
 *
 * Nothing here is durable: that is durable_sync()'s work. The file position of the descriptor is
 * neither used nor moved; the descriptor is no longer in direct mode after object_writer_end(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OBJECT_WRITER_BLOCK_BYTES ((size_t)2 << 20)
#define OBJECT_WRITER_ALIGN_BYTES 4096 /* of memory, offset and length, for any disk */
#define OBJECT_WRITER_DIRECT_MIN  ((uint64_t)1 << 20)

struct object_writer {
	int fd; /* borrowed */
	bool direct;
	off_t offset;   /* of the block's first byte; in direct mode a multiple of the alignment */
	size_t filled;  /* of the block */
	uint8_t *block; /* borrowed */
};

/* How large the block must be for an object of this size, given in pieces of piece_max at most. */
size_t object_writer_block(uint64_t object_bytes, size_t piece_max);

/* For an empty object that will have this many bytes; block is aligned to
 * OBJECT_WRITER_ALIGN_BYTES. */
void object_writer_begin(
		struct object_writer *writer, int fd, uint64_t object_bytes, uint8_t *block);

/* Where to put the next piece, of up to piece_max bytes. object_writer_added(), with its length,
 * makes it part of the object. */
uint8_t *object_writer_next(struct object_writer *writer);

/* Adds the piece; writes when the block is full. -errno. */
int object_writer_added(struct object_writer *writer, size_t len);

/* Writes what is left. -errno. */
int object_writer_end(struct object_writer *writer);
