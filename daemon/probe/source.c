#include "daemon/probe/source.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZEROS_PIECE_BYTES 4096

int source_init(int fd, struct source *ret_source)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOTSUP;
	*ret_source = (struct source){
			.fd = fd,
			.size_bytes = (uint64_t)st.st_size,
			.budget_bytes = SOURCE_BUDGET_BYTES,
	};
	return 0;
}

static size_t source_clamp(struct source *source, size_t len, uint64_t offset)
{
	/* A file that grows while it is judged keeps the size it had. */
	if (offset >= source->size_bytes)
		return 0;
	if (len > source->size_bytes - offset)
		len = (size_t)(source->size_bytes - offset);
	if (len > source->budget_bytes) {
		if (source->error == 0)
			source->error = -EFBIG;
		len = (size_t)source->budget_bytes;
	}
	return len;
}

size_t source_read(struct source *source, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	len = source_clamp(source, len, offset);
	while (done < len) {
		ssize_t n = pread(
				source->fd, (char *)buf + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && source->error == 0)
			source->error = -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	source->budget_bytes -= done;
	return done;
}

/* How many bytes there are up to the last that is not zero, in the n-th piece before `to`. */
static size_t piece_used(
		struct source *source, uint64_t from, uint64_t to, uint64_t n, uint64_t *ret_at)
{
	uint8_t piece[ZEROS_PIECE_BYTES];
	uint64_t end = to - n * sizeof(piece);
	uint64_t at = end - from > sizeof(piece) ? end - sizeof(piece) : from;
	size_t len = source_read(source, piece, (size_t)(end - at), at);

	while (len > 0 && piece[len - 1] == 0)
		len--;
	*ret_at = at;
	return len;
}

uint64_t source_zeros_before(struct source *source, uint64_t from, uint64_t to)
{
	uint64_t pieces = (to - from + ZEROS_PIECE_BYTES - 1) / ZEROS_PIECE_BYTES;
	uint64_t zeros = 0, at = from;

	/* Pieces are counted from the end. Most files end in none, which one look tells. */
	if (pieces > 0 && piece_used(source, from, to, 0, &at) == 0)
		zeros = 1;
	for (uint64_t used = zeros == 0 ? zeros : pieces; zeros < used;) {
		uint64_t middle = zeros + (used - zeros) / 2;
		if (piece_used(source, from, to, middle, &at) == 0)
			zeros = middle + 1;
		else
			used = middle;
	}
	if (zeros == pieces)
		return from;
	size_t used = piece_used(source, from, to, zeros, &at);
	return at + used;
}
