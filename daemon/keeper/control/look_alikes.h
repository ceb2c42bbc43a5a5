/* Accounts whose names look alike (daemon/common/names/name_look.h): for whoever is about to
 * destroy one of them, or looks for one. */
#pragma once

#include <jansson.h>

#include "daemon/keeper/open/vault.h"

/* What the interface says of an account's look-alikes that live: an object with look_alikes,
 * look_alikes_left_off when there are too many to name, and, when there is any, the spelling of the
 * account itself. -errno, -RE_*. */
int look_alikes_of(struct vault *vault, const struct account_row *row, json_t **ret_facts);

/* The array look_alikes for a name that somebody typed, and that is no account. */
int look_alikes_of_typed(struct vault *vault, const char *text, json_t **ret_list);
