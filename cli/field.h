/* Members of the JSON objects that a keeper sends. A member of the wrong type counts as missing. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Borrowed text, or NULL. */
const char *field_text(const json_t *object, const char *key);

/* An object or array (borrowed), or NULL. */
json_t *field_object(const json_t *object, const char *key);
json_t *field_array(const json_t *object, const char *key);

/* A whole number that is not negative, or the fallback. */
int64_t field_int(const json_t *object, const char *key, int64_t fallback);

/* Whether there is such a number; an int counts as one. */
bool field_real(const json_t *object, const char *key, double *ret_value);

bool field_true(const json_t *object, const char *key);
