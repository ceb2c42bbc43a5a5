/* Accounts that look alike, as plan, statement, account show and errors print them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/reason.h"

/* A fact for each look-alike of a plan, a result or an account, after the own spelling of the
 * account. Whether there are any. */
bool look_alikes_print(const json_t *object, FILE *f);

/* Adds to a reason those that the parameters of an error name. */
void look_alikes_explain(const json_t *parameters, struct reason *reason);
