/* The name a sealed recording is moved to just before it is removed:
 *
 *     .recseal-<random, 16 hex>-<ctime when it was sealed, ns, 16 hex>-<its name>
 *
 * unlinkat(2) goes by name, and a bridge may rename a new recording over the old one at any moment.
 * Nobody else uses the private name, so what is looked at there is what is removed (qmail and
 * Maildir settle it with unique names as well). Of a name that is too long its end is kept.
 *
 * After a crash in between, the name says all that is needed to know the file again: the rename has
 * changed its ctime, which is part of its hash (source.h), and its own name is for the catalog
 * should it turn out not to be sealed. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct aside {
	int64_t ctime_ns;
	const char *name; /* its own, in the name that was read */
};

#define ASIDE_NAME_BYTES (NAME_MAX + 1)

/* A private name, of which there is no second. */
void aside_make(const char *name, int64_t ctime_ns, char ret_name[static ASIDE_NAME_BYTES]);

/* Whether a file name (not a path) is a private one, and what it says. */
bool aside_read(const char *name, struct aside *ret_aside);

/* The path that a candidate had before it was moved aside: `path` itself, or it in buf. */
const char *aside_path(const char *path, char buf[static PATH_MAX]);
