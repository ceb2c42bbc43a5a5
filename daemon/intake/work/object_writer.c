#include "daemon/intake/work/object_writer.h"

#include <errno.h>
#include <string.h>

#include "base/durable.h"

size_t object_writer_block(uint64_t object_bytes, size_t piece_max)
{
	size_t block = object_bytes < OBJECT_WRITER_BLOCK_BYTES ? (size_t)object_bytes
								: OBJECT_WRITER_BLOCK_BYTES;

	return block + piece_max;
}

void object_writer_begin(
		struct object_writer *writer, int fd, uint64_t object_bytes, uint8_t *block)
{
	*writer = (struct object_writer){.fd = fd, .block = block};
	writer->direct = object_bytes >= OBJECT_WRITER_DIRECT_MIN && durable_direct(fd, true) == 0;
}

uint8_t *object_writer_place(struct object_writer *writer)
{
	return writer->block + writer->filled;
}

/* Takes the first len bytes, now written, from the block. */
static void consume(struct object_writer *writer, size_t len)
{
	writer->offset += (off_t)len;
	writer->filled -= len;
	memmove(writer->block, writer->block + len, writer->filled);
}

static int leave_direct(struct object_writer *writer)
{
	writer->direct = false;
	return durable_direct(writer->fd, false);
}

/* All of the block but what is less than the alignment. A filesystem may take the mode and then not
 * the write (-EINVAL): that goes through the cache. */
static int write_aligned(struct object_writer *writer)
{
	size_t len = writer->filled - writer->filled % OBJECT_WRITER_ALIGN_BYTES;
	int r = io_pwrite_all(writer->fd, writer->block, len, writer->offset);

	if (r == -EINVAL) {
		r = leave_direct(writer);
		if (r == 0)
			r = io_pwrite_all(writer->fd, writer->block, len, writer->offset);
	}
	if (r == 0)
		consume(writer, len);
	return r;
}

static int write_cached(struct object_writer *writer)
{
	int r = io_pwrite_all(writer->fd, writer->block, writer->filled, writer->offset);

	if (r == 0)
		consume(writer, writer->filled);
	return r;
}

int object_writer_added(struct object_writer *writer, size_t len)
{
	writer->filled += len;
	if (writer->filled < OBJECT_WRITER_BLOCK_BYTES)
		return 0;
	if (writer->direct)
		return write_aligned(writer);
	int r = write_cached(writer);
	if (r == 0)
		durable_write_behind(writer->fd);
	return r;
}

int object_writer_end(struct object_writer *writer)
{
	int r = 0;

	if (writer->direct) {
		r = write_aligned(writer);
		if (r == 0)
			r = leave_direct(writer);
	}
	return r < 0 ? r : write_cached(writer);
}
