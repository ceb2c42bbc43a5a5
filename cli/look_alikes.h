/* Accounts that look alike, as plan, statement, account show and errors print them. */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "base/reason.h"

/* How many look-alikes a plan, a result or an account has, named or not. */
int64_t look_alikes_count(const json_t *object);

/* A fact for each of them, and the spelling of the account itself. */
void look_alikes_print(const json_t *object, FILE *f);

/* Adds to a reason those that the parameters of an error name. */
void look_alikes_explain(const json_t *parameters, struct reason *reason);
