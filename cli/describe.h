/* The interface's objects in words, for the commands that print them. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* {"sealed": 12, "pending": 0} as "12 sealed"; "none" when nothing is above zero. A string to
 * free(), or NULL when out of memory. */
char *describe_counts(json_t *counts);

/* "2026-01-02T... to 2026-02-03T..." of oldest_at and newest_at; NULL when there are none, or when
 * out of memory. */
char *describe_range(const json_t *object);

/* The whole of a Recording or an Account, as facts. */
void describe_recording(const json_t *recording, FILE *f);
void describe_account(const json_t *account, FILE *f);
