#include "daemon/intake/source/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

static int beneath_try(int dir_fd, const char *path, int flags)
{
	const struct open_how how = {
			.flags = (unsigned)flags | O_CLOEXEC,
			.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	/* EAGAIN: something was renamed during the lookup, and the kernel could not tell whether
	 * it stayed beneath. Rare, and rarely twice. */
	for (int attempt = 0;; attempt++) {
		long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if ((errno != EAGAIN && errno != EINTR) || attempt == 16)
			return -errno;
	}
}

int beneath_open(int dir_fd, const char *path, int flags)
{
	/* With O_PATH there is nothing to read. */
	if (flags & O_PATH)
		return beneath_try(dir_fd, path, flags);
	int r = beneath_try(dir_fd, path, flags | O_NOATIME);
	/* For the owner and for root only. */
	return r == -EPERM ? beneath_try(dir_fd, path, flags) : r;
}
