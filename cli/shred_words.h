/* What a shred would do, and what it did, in words that a privacy officer can file. */
#pragma once

#include <jansson.h>
#include <stdio.h>

struct shred_target {
	const char *kind; /* "account" or "recording": also the parameter's name */
	const char *name; /* as given on the command line */
};

/* The text that a person has to type to confirm: the account's name or the recording's id. Borrowed
 * from the plan or the target. */
const char *shred_words_confirmation(const json_t *plan, const struct shred_target *target);

void shred_words_plan(const json_t *plan, const struct shred_target *target, FILE *f);

/* confirmed: what shred_words_confirmation() returned. */
void shred_words_result(const json_t *result, const struct shred_target *target,
		const char *confirmed, const char *reason, FILE *f);
