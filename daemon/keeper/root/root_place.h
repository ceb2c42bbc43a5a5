/* Where the root is kept: in root.slots (Root=file) or in a TPM (Root=tpm2), and how it moves from
 * one to the other.
 *
 * A move is an epoch of its own (storage/root/root_pair.h): the fresh root is written to the new
 * place, then the old one is overwritten and removed. While both places exist a move is under way,
 * or was cut short: root_place_open() pairs them, recovery goes on as after any crash, and
 * root_place_settle() removes the place that does not hold the root. */
#pragma once

#include <stdio.h>

#include "daemon/keeper/vault/vault.h"

/* All of this is about the keeper's own place; for mirrors see mirrors.h. */

/* Whether the root is kept in a file, and not in a TPM. */
bool root_place_is_file(const struct vault *vault);

/* The least label that the place can have, before it is opened. */
const char *root_place_assurance(const struct vault *vault);

/* Whether there is a root in the keeper's directory. */
bool root_place_exists(const struct vault *vault);

/* Makes the place that the configuration names, for a new vault; -errno, with a sentence on
 * errors. */
int root_place_create(struct vault *vault, struct root_provider **ret_provider, FILE *errors);

/* Opens what is there; adopt as for root_file_open(). -errno or -RE_*, with a sentence on
 * errors. */
int root_place_open(
		struct vault *vault, bool adopt, struct root_provider **ret_provider, FILE *errors);

/* After recovery: nothing, or the end of a move that was cut short. */
int root_place_settle(struct vault *vault, FILE *errors);

/* Removes what a creation that was cut short has left. */
int root_place_remove(struct vault *vault);

/* Puts aside what is left of a place that is lost: *.given-up. */
int root_place_abandon(struct vault *vault);

/* Whether the root is kept where the configuration says: 0, or -RE_REFUSED with a sentence. */
int root_place_check(const struct vault *vault, FILE *errors);
