#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, size)   ((void)(p))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p))
#endif

#define SLOT_BYTES ((size_t)512) /* the largest that every recording needs: the state of a MAC */
#define SLOTS      ((size_t)96)
#define SEALS      (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

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

/* A region of its own, with guard pages. */
static void *region_new(size_t size_bytes)
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

/* Keys share one region, made with the first of them: a region for each would cost a dozen
 * system calls, several times per recording. What is not handed out is poisoned for the address
 * sanitizer. */
static struct {
	pthread_mutex_t lock;
	uint8_t (*slots)[SLOT_BYTES];
	bool used[SLOTS];
	size_t next; /* where to look first */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *pool_take(size_t size_bytes)
{
	if (!pool.slots) {
		pool.slots = region_new(SLOTS * SLOT_BYTES);
		if (!pool.slots)
			return NULL;
		ASAN_POISON_MEMORY_REGION(pool.slots, SLOTS * SLOT_BYTES);
	}
	for (size_t n = 0; n < SLOTS; n++) {
		size_t i = (pool.next + n) % SLOTS;
		if (pool.used[i])
			continue;
		pool.used[i] = true;
		pool.next = i + 1;
		ASAN_UNPOISON_MEMORY_REGION(pool.slots[i], size_bytes);
		return pool.slots[i];
	}
	return NULL;
}

static bool pool_give_back(void *p)
{
	uintptr_t first = (uintptr_t)pool.slots, at = (uintptr_t)p;

	if (!pool.slots || at < first || at >= first + SLOTS * SLOT_BYTES)
		return false;
	size_t i = (at - first) / SLOT_BYTES;
	if (!pool.used[i] || p != pool.slots[i])
		abort(); /* freed twice, or never ours */
	ASAN_UNPOISON_MEMORY_REGION(p, SLOT_BYTES);
	sodium_memzero(p, SLOT_BYTES);
	ASAN_POISON_MEMORY_REGION(p, SLOT_BYTES);
	pool.used[i] = false;
	return true;
}

void *secret_new(size_t size_bytes)
{
	void *p = NULL;

	if (size_bytes > 0 && size_bytes <= SLOT_BYTES) {
		pthread_mutex_lock(&pool.lock);
		p = pool_take(size_bytes);
		pthread_mutex_unlock(&pool.lock);
	}
	return p ? p : region_new(size_bytes);
}

void *secret_free(void *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&pool.lock);
	bool given_back = pool_give_back(p);
	pthread_mutex_unlock(&pool.lock);
	if (!given_back)
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
