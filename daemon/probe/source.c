#include "daemon/probe/source.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

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
