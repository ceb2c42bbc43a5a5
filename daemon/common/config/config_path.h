/* Paths as the configuration needs them: absolute, in one spelling, comparable. */
#pragma once

/* A configured path in its one spelling: absolute, single slashes, none at the end. NULL with errno
 * EINVAL when it is relative or has a "." or ".." in it; ENOMEM. free() it. */
char *config_path_clean(const char *path);

/* A path from the command line: relative ones start at the working directory. "." and ".." are
 * resolved through the filesystem, as the kernel would. NULL with errno. free() it. */
char *config_path_absolute(const char *path);

/* Whether two clean paths are the same directory or one lies in the other, once the symbolic links
 * of what exists are followed. 1 yes, 0 no, -ENOMEM. */
int config_path_overlap(const char *a, const char *b);
