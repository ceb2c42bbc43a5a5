/* The private name that a sealed recording is moved to just before it is removed:
 *
 *     .recseal-<random, 16 hex>-<ctime when it was sealed, ns, 16 hex>-<its name>
 *
 * unlinkat(2) goes by name, and a bridge may rename a new recording over the old one at any moment.
 * Nobody else uses the private name, so the file that is checked there is the file that is removed
 * (qmail and Maildir rely on unique names as well). Of a name that is too long, the end is kept.
 *
 * After a crash in between, the private name says all that is needed to know the file again: the
 * rename has changed its ctime, which is part of its hash (source.h), and its own name is for the
 * catalog in case it was not sealed. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct aside {
	int64_t ctime_ns;
	const char *name; /* the file's own name: a part of the private name that was read */
};

#define ASIDE_NAME_BYTES (NAME_MAX + 1)

/* Makes a private name that no other file has. */
void aside_make(const char *name, int64_t ctime_ns, char ret_name[static ASIDE_NAME_BYTES]);

/* Whether a file name (not a path) is a private one, and what it holds. */
bool aside_read(const char *name, struct aside *ret_aside);

/* The path that a candidate had before it was moved aside: written to buf; `path` itself when it
 * was not moved. */
const char *aside_path(const char *path, char buf[static PATH_MAX]);
