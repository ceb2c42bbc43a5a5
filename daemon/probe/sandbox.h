/* Confinement of the probe: the server keeps little, the child that reads a file keeps nothing but
 * fd 0 (the file) and fd 1 (the result). Nothing of it can be undone. Any part that fails is an
 * error, except Landlock, which older kernels lack. */
#pragma once

/* Whether this build enforces everything: a sanitizer's runtime needs address space, system calls
 * and its own /proc, none of which a confined process has, so that builds with one leave out the
 * address space limit, the non-dumpable flag, Landlock and the system call filters. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_RELAXED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
		__has_feature(memory_sanitizer)
#define SANDBOX_RELAXED 1
#endif
#endif
#ifndef SANDBOX_RELAXED
#define SANDBOX_RELAXED 0
#endif

#define SANDBOX_MEMORY_BYTES (256UL << 20)

/* The filters, compiled. */
struct sandbox;
int sandbox_new(struct sandbox **ret_sandbox);
struct sandbox *sandbox_free(struct sandbox *sandbox);

static inline void sandbox_free_p(struct sandbox **sandbox)
{
	sandbox_free(*sandbox);
}

/* For a process that only forks, and talks over descriptors it has: no capabilities, no new
 * privileges, no access to any file by name nor to the network (Landlock), few descriptors, a
 * filter. Its children inherit this. -errno. */
int sandbox_enter_server(const struct sandbox *sandbox);

/* For the child: closes every descriptor but 0 and 1, limits memory and cpu_s seconds of processor
 * time, forbids files, processes and descriptors, installs the filter. To be called before the
 * first byte is read. On failure, -errno, the child must end. */
int sandbox_enter_child(const struct sandbox *sandbox, unsigned cpu_s);
