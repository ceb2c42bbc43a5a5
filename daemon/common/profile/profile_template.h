/* Templates: text with values in braces, "{room}-{meta.tenant}". profile.h says which values there
 * are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/common/profile/pattern.h"

/* Looks a {meta.key} up, by the key alone: a malloc'd value, or NULL. */
typedef char *(*profile_template_meta)(void *context, const char *key, size_t len);

/* Where the values of one recording come from; all borrowed. */
struct profile_template_values {
	const char *path;                  /* {name}, {stem} */
	const struct pattern_match *match; /* the groups of its pattern */
	profile_template_meta meta;        /* {meta.key}; NULL: none */
	void *context;
};

/* The text with its values, malloc'd. 0; -ENOENT when a value is missing; -ENOMEM. */
int profile_template_expand(const char *text, size_t len,
		const struct profile_template_values *values, char **ret_text);

/* One variable of a template, the text between its braces. */
struct profile_template_variable {
	const char *name;
	size_t len;
};

/* The next variable from *at on, which moves behind it. False after the last. */
bool profile_template_next(
		const char **at, const char *end, struct profile_template_variable *ret_variable);

/* Whether it is a {meta.key}; whether its form (":path") is one that is known; whether it is the
 * recording's own {name} or {stem}. */
bool profile_template_is_meta(const struct profile_template_variable *variable);
bool profile_template_is_formed(const struct profile_template_variable *variable);
bool profile_template_is_own(const struct profile_template_variable *variable);
