/* The two system call filters of the probe, as classic BPF programs.
 *
 * Compiled once, before anything hostile is near; installing one is then a single system call, so
 * that a child per file stays cheap. */
#pragma once

#include <linux/filter.h>

/* What libsndfile needs over an open file: read fd 0 at an offset, write fd 1, memory that is not
 * executable, the time, the end. Calls that it or libc try and can do without fail with an
 * errno; any other call kills the process. 0; -errno. Free with filter_free(). */
int filter_child(struct sock_fprog *ret_program);

/* What a server that forks needs, and what its children need until they install theirs. Anything
 * else fails with EPERM. 0; -errno. */
int filter_server(struct sock_fprog *ret_program);

/* Puts it into force until the process ends; needs no_new_privs. -errno. */
int filter_install(const struct sock_fprog *program);

void filter_free(struct sock_fprog *program);
