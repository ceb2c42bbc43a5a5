/* The private name that a sealed recording is moved to just before it is removed:
 *
 *     .recseal-<random, 16 hex>-<random, 16 hex>-<its name>
 *
 * unlinkat(2) goes by name, and a bridge may rename a new recording over the old one at any moment.
 * Nobody else uses the private name, so the file that is checked there is the file that is removed
 * (qmail and Maildir rely on unique names as well). Of a name that is too long, the end is kept.
 *
 * After a crash in between, the name tells the file's own name, for the catalog. It tells nothing
 * else that is believed: whoever may write to a spool can make such names. The file is looked at
 * like every other, and sealed once more. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct aside {
	const char *name; /* the file's own name: a part of the private name that was read */
};

#define ASIDE_NAME_BYTES (NAME_MAX + 1)

/* Makes a private name that no other file has, from the own name or from an earlier private one. */
void aside_make(const char *name, char ret_name[static ASIDE_NAME_BYTES]);

/* Whether a file name (not a path) is a private one, and what it holds. */
bool aside_read(const char *name, struct aside *ret_aside);

/* The path that a candidate had before it was moved aside: written to buf; `path` itself when it
 * was not moved. */
const char *aside_path(const char *path, char buf[static PATH_MAX]);
