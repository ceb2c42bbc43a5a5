/* Memory for secrets: guarded, locked, excluded from core dumps, wiped on release.
 *
 * Secrets live in memory from secret_new() only, and are passed by pointer. Small fixed-size keys
 * that a function needs for its own duration go on a struct allocated once with secret_new(), never
 * on the stack. */
#pragma once

#include <stddef.h>

/* Makes the process fit to hold secrets: libsodium ready, no core dumps, not dumpable (so no ptrace
 * by the same user). Returns 0, or -errno. */
int secret_process_init(void);

/* size_bytes of zeroed secret memory (sodium_malloc; small ones share a region). NULL with errno
 * ENOMEM when there is none, or when it could not be locked: fail closed, see RLIMIT_MEMLOCK. May
 * be called from any thread. */
void *secret_new(size_t size_bytes);

/* Wipes and frees; takes NULL; returns NULL. */
void *secret_free(void *p);

static inline void secret_free_p(void *p)
{
	secret_free(*(void **)p);
}
#define _cleanup_secret_ __attribute__((cleanup(secret_free_p)))

/* A sealed, read-only memfd holding len bytes (at most SECRET_FD_MAX_BYTES): how secrets travel
 * between processes (memfd_create(2), F_ADD_SEALS). Returns the descriptor (close-on-exec), or
 * -errno. */
#define SECRET_FD_MAX_BYTES 256
int secret_to_fd(const void *secret, size_t len);

/* Reads exactly len bytes from a memfd made by secret_to_fd(). Refuses a descriptor that is not
 * fully sealed or of another size, with -RE_PROTOCOL: an unsealed one could change, or block, under
 * us. The descriptor stays the caller's. */
int secret_from_fd(int fd, void *ret_secret, size_t len);
