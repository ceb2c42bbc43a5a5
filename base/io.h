/* Reading and writing of whole pieces, however short the kernel's own reads and writes are. Nothing
 * is durable by it: see durable.h. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Writes all len bytes at the descriptor's position, however short the kernel's writes are.
 * -errno. */
int io_write_all(int fd, const void *data, size_t len);

/* Reads up to len bytes at offset until len or end of file; returns the count through ret_len.
 * -errno. */
int io_pread_full(int fd, void *buf, size_t len, off_t offset, size_t *ret_len);

/* Writes all len bytes at offset. -errno. */
int io_pwrite_all(int fd, const void *data, size_t len, off_t offset);
