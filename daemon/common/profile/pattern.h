/* File name patterns, for strangers' names: matched in a time that is bounded by the lengths of
 * pattern and name alone, whatever the name (a table of which token reaches the end from where, the
 * way to intersect an automaton with a string; no backtracking).
 *
 *     ?              one character but /
 *     *              any run of them, also an empty one
 *     **             any run, / included
 *     (wav|mp3)      one of these texts
 *     (~wav|mp3)     the same, in upper and lower case (ASCII)
 *     {name}         a run of one or more characters but /, remembered; the leftmost takes most
 *     {name:10}      exactly ten of them
 *     {name:d}       digits only;  {name:10d} ten digits
 *
 * A pattern without / is about the last component of a path, wherever it lies; one with / is about
 * the whole path, and may begin with / to say so. There is no escape: * ? ( ) { } cannot be asked
 * for by themselves. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/reason.h"

#define PATTERN_TOKENS_MAX  40
#define PATTERN_GROUPS_MAX  8
#define PATTERN_SUBJECT_MAX 4095 /* longer paths match nothing */

enum pattern_kind {
	PATTERN_TEXT,
	PATTERN_ONE,
	PATTERN_RUN,
	PATTERN_DEEP,
	PATTERN_CHOICE,
	PATTERN_GROUP,
};

struct pattern_token {
	enum pattern_kind kind;
	const char *text; /* literal, choices, or the group's name */
	size_t len;
	unsigned count; /* of a group; 0: one or more */
	bool digits;
	bool any_case;  /* of choices: ASCII letters in either case */
	size_t longest; /* of choices: the length of the longest one */
};

/* Borrows the text it was compiled from. */
struct pattern {
	bool whole; /* about the whole path */
	size_t n;
	struct pattern_token token[PATTERN_TOKENS_MAX];
};

/* What the groups took: borrowed from the pattern and the path. */
struct pattern_match {
	size_t n;
	struct {
		const char *name, *value;
		size_t name_len, value_len;
	} group[PATTERN_GROUPS_MAX];
};

/* 0, or -EINVAL with a reason that is the rest of a sentence about the pattern ("is empty"). */
int pattern_compile(
		const char *text, size_t len, struct reason *reason, struct pattern *ret_pattern);

bool pattern_matches(
		const struct pattern *pattern, const char *path, struct pattern_match *ret_match);

/* The value of a group, or NULL. */
const char *pattern_value(const struct pattern_match *match, const char *name, size_t name_len,
		size_t *ret_len);
