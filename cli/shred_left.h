/* What a shred does not reach, in words: parts of a recording that stay, plaintext in the spools,
 * recordings in quarantine. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* object: a ShredPlan or a ShredResult; kind: "account" or "recording"; done: the shred is over. */
void shred_left_print(const json_t *object, const char *kind, bool done, FILE *f);
