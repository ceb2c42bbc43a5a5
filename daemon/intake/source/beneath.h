/* Lookup of foreign paths: it never leaves the directory, and never follows a symbolic link. */
#pragma once

/* openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS (and not through /proc magic links), always
 * O_CLOEXEC. With O_PATH | O_NOFOLLOW a symbolic link itself may be the end of the path. Reading
 * leaves the access time as it is (O_NOATIME), where the kernel allows that. Returns the descriptor
 * or -errno. */
int beneath_open(int dir_fd, const char *path, int flags);
