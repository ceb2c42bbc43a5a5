/* Durable file I/O: the only place in the tree that calls fsync, rename, linkat or unlinkat on data
 * that matters.
 *
 * "Durable on return" means that a power loss afterwards does not undo it, as far as the filesystem
 * and the disk honour fsync. A failed fsync is never retried on the same descriptor: the kernel may
 * have dropped the dirty pages (Rebello et al., "Can Applications Recover from fsync Failures?",
 * ATC 2020); the caller gives the file up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/io.h"

/* Starts writing to disk what was written to the file so far, and does not wait: the sync at the
 * end then has less to wait for. Promises nothing; errors show in durable_sync(). */
void durable_write_behind(int fd);

/* Switches O_DIRECT, for all who share the open file: reads and writes past the page cache, with
 * memory, offset and length aligned to the disk's blocks. -EINVAL where the filesystem has no such
 * mode. */
int durable_direct(int fd, bool on);

/* fsync(2). -errno, after which the file must be abandoned. */
int durable_sync(int fd);

/* Creates (mode, exclusive) a file of exactly these bytes in the directory and makes it and its
 * entry durable on return. -EEXIST when the name is taken; nothing is left behind on other
 * failures. */
int durable_create_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode);

/* An unnamed, writable file in the directory (O_TMPFILE, or on a filesystem without it a temporary
 * ".unnamed-*" name). Returns the descriptor or -errno. Not durable until durable_sync(); named by
 * durable_link(). ret_temporary is "" for a truly unnamed file, else the name to pass on. */
#define DURABLE_TEMPORARY_BYTES 64
int durable_unnamed(int dir_fd, mode_t mode, char ret_temporary[static DURABLE_TEMPORARY_BYTES]);

/* Gives the unnamed file a name in the directory, never replacing one (-EEXIST). The entry is
 * durable once durable_sync(dir_fd) has returned 0. */
int durable_link(int fd, int dir_fd, const char *temporary, const char *name);

/* Forgets an unnamed file: removes the temporary name if there is one. The descriptor stays
 * open. */
void durable_forget(int dir_fd, const char *temporary);

/* unlinkat(2) of a file; a name that is not there is success. Durable after
 * durable_sync(dir_fd). */
int durable_unlink(int dir_fd, const char *name);

/* Renames within the directory, never replacing another name (-EEXIST). Durable after
 * durable_sync(dir_fd). */
int durable_rename(int dir_fd, const char *from, const char *to);

/* The same, but others see exactly one of the two names at any time. -EINVAL or
 * -ENOSYS where the filesystem has no RENAME_NOREPLACE. */
int durable_rename_at_once(int dir_fd, const char *from, const char *to);

/* Opens, creating it when missing (durably: the parent's entry is synced), a directory. Refuses a
 * symbolic link. Returns the descriptor or -errno. */
int durable_mkdir_open(int dir_fd, const char *name, mode_t mode);
