/* How a store takes a draft away from whoever wrote it: a process that was given the draft's
 * descriptor may keep a copy, map it, or pass it on, and no close of ours takes that back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A descriptor of the same file that only reads, an open file of its own. -errno. */
int object_own_reader(int fd);

/* Whether nobody has the file open for writing, mappings included, and nobody but the file's owner
 * can open it so: asked of the kernel with a read lease (fcntl(2), F_SETLEASE), which it grants
 * only then, and which is given back at once. False also where the filesystem has no leases: then
 * nobody knows. fd is open for reading, and this process owns the file or has CAP_LEASE. */
bool object_own_is_sole(int fd);

/* Copies the next OBJECT_OWN_STRIDE_BYTES of a file to the same place in another. 1: there is more;
 * 0: that was all, up to the end that the file has now; -errno. *at, 0 at first, moves on. */
#define OBJECT_OWN_STRIDE_BYTES ((uint64_t)64 << 20)
int object_own_copy(int from, int to, uint64_t *at);
