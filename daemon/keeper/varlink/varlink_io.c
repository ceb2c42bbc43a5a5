#include "daemon/keeper/varlink/varlink_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define READ_BYTES 16384

/* Moves what is unread to the front and has READ_BYTES free behind it. */
static int buffer_make_room(struct varlink_io *io)
{
	if (io->in_start > 0) {
		memmove(io->in, io->in + io->in_start, io->in_len - io->in_start);
		io->in_len -= io->in_start;
		io->in_scanned -= io->in_start;
		io->in_start = 0;
	}
	if (io->in_room - io->in_len >= READ_BYTES)
		return 0;
	size_t room = 2 * io->in_len + READ_BYTES;
	char *in = realloc(io->in, room);
	if (!in)
		return -ENOMEM;
	io->in = in;
	io->in_room = room;
	return 0;
}

static void buffer_free_if_empty(struct varlink_io *io)
{
	if (io->in_start < io->in_len)
		return;
	free(io->in);
	io->in = NULL;
	io->in_start = io->in_scanned = io->in_len = io->in_room = 0;
}

int varlink_io_read(struct varlink_io *io)
{
	struct socket_fds fds = {.count = 0};
	int r = buffer_make_room(io);

	if (r < 0)
		return r;
	ssize_t n = socket_recv(io->fd, io->in + io->in_len, READ_BYTES, &fds);
	/* No method takes descriptors; kept, they would use up the keeper's own. */
	socket_fds_close(&fds);
	if (n > 0) {
		io->in_len += (size_t)n;
		io->moved_bytes += (uint64_t)n;
	} else if (n == 0) {
		io->end_of_stream = true;
	}
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

bool varlink_io_waiting(struct varlink_io *io)
{
	buffer_free_if_empty(io);
	if (!io->in)
		return false;
	const char *nul = memchr(io->in + io->in_scanned, '\0', io->in_len - io->in_scanned);
	io->in_scanned = nul ? (size_t)(nul - io->in) : io->in_len;
	return nul;
}

bool varlink_io_partial(const struct varlink_io *io)
{
	return io->in_start < io->in_len;
}

int varlink_io_take(struct varlink_io *io, const char **ret_text, size_t *ret_len)
{
	bool whole = varlink_io_waiting(io);
	size_t len = io->in_scanned - io->in_start;

	/* Also while it is incomplete: a peer cannot fill the memory first. */
	if (len > io->request_bytes)
		return -RE_PROTOCOL;
	if (!whole)
		return 0;
	*ret_text = io->in + io->in_start;
	*ret_len = len;
	io->in_start = ++io->in_scanned;
	return 1;
}

int varlink_io_put(struct varlink_io *io, const json_t *message, struct socket_fds *fds)
{
	if (fds) {
		io->out_fds = *fds;
		fds->count = 0;
	}
	io->out = json_dumps(message, JSON_COMPACT);
	if (!io->out) {
		socket_fds_close(&io->out_fds);
		return -ENOMEM;
	}
	io->out_sent = 0;
	io->out_len = strlen(io->out) + 1;
	return 0;
}

static void buffer_drop_sent(struct varlink_io *io)
{
	socket_fds_close(&io->out_fds);
	free(io->out);
	io->out = NULL;
	io->out_sent = io->out_len = 0;
}

int varlink_io_flush(struct varlink_io *io)
{
	while (io->out) {
		ssize_t n = socket_send(io->fd, io->out + io->out_sent, io->out_len - io->out_sent,
				&io->out_fds);
		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		/* They went with the first byte, and must not go again with the rest. */
		socket_fds_close(&io->out_fds);
		io->out_sent += (size_t)n;
		io->moved_bytes += (uint64_t)n;
		if (io->out_sent == io->out_len)
			buffer_drop_sent(io);
	}
	return 0;
}

void varlink_io_clear(struct varlink_io *io)
{
	buffer_drop_sent(io);
	free(io->in);
	io->in = NULL;
	io->in_start = io->in_scanned = io->in_len = io->in_room = 0;
}
