#include "storage/objects/object_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define PIECE_BYTES ((size_t)1 << 20)

int object_own_reader(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	return reader < 0 ? -errno : reader;
}

bool object_own_is_sole(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return false;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

/* Read and written, and not cloned: with shared blocks a filesystem may write later what fails. */
int object_own_copy(int from, int to, uint64_t *at)
{
	_cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
	size_t n = PIECE_BYTES;
	int r = piece ? 0 : -ENOMEM;

	for (uint64_t done = 0; r == 0 && done < OBJECT_OWN_STRIDE_BYTES; done += n) {
		r = io_pread_full(from, piece, PIECE_BYTES, (off_t)*at, &n);
		if (r == 0)
			r = io_pwrite_all(to, piece, n, (off_t)*at);
		if (r == 0)
			*at += n;
		if (r == 0 && n < PIECE_BYTES)
			return 0;
	}
	return r < 0 ? r : 1;
}
