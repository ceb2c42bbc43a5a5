#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int secret_process_init(void)
{
	const struct rlimit none = {0, 0};

	if (sodium_init() < 0)
		return -ENOSYS;
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return 0;
}

void *secret_new(size_t size_bytes)
{
	void *p = sodium_malloc(size_bytes);

	if (!p)
		return NULL;
	/* sodium_malloc() ignores a failed mlock(2); locking again tells, and costs nothing if it
	 * held. */
	if (sodium_mlock(p, size_bytes) < 0) {
		sodium_free(p);
		errno = ENOMEM;
		return NULL;
	}
	memset(p, 0, size_bytes);
	return p;
}

void *secret_free(void *p)
{
	if (p)
		sodium_free(p);
	return NULL;
}

int secret_to_fd(const void *secret, size_t len)
{
	_cleanup_close_ int fd = -1;

	if (len == 0 || len > SECRET_FD_MAX_BYTES)
		return -EINVAL;
	fd = memfd_create("recseal-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	ssize_t n = pwrite(fd, secret, len, 0);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int secret_from_fd(int fd, void *ret_secret, size_t len)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -RE_PROTOCOL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (len > SECRET_FD_MAX_BYTES || st.st_size != (off_t)len)
		return -RE_PROTOCOL;
	if (pread(fd, ret_secret, len, 0) != (ssize_t)len)
		return -EIO;
	return 0;
}
