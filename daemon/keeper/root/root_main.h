/* The main copy of the root: in root.slots (Root=file) or in a TPM (Root=tpm2), and how it moves
 * from one to the other.
 *
 * A move is an epoch of its own (storage/root/root_pair.h): the fresh root is written to the new
 * location, then the old one is overwritten and removed. While both exist a move is under way, or
 * was cut short: root_main_open() pairs them, recovery goes on as after any crash, and
 * root_main_settle() removes the one that does not hold the root. */
#pragma once

#include "daemon/keeper/root/root.h"

/* All of this is about the main copy; for mirrors see mirrors.h. */

/* Whether the root is kept in a file, and not in a TPM. */
bool root_main_is_file(const struct root *root);

/* The weakest assurance that the main copy can have; known before it is opened. */
const char *root_main_assurance(const struct root *root);

/* Whether there is a root in the keeper's directory. */
bool root_main_exists(const struct root *root);

/* Makes the main copy where the configuration says, for a new vault; -errno, with a reason. */
int root_main_create(struct root *root, struct root_provider **ret_provider, struct reason *reason);

/* Opens the main copy, or both halves of a move; adopt as for root_file_open(). -errno or -RE_*,
 * with a reason. */
int root_main_open(struct root *root, bool adopt, struct root_provider **ret_provider,
		struct reason *reason);

/* After recovery: ends a move that was cut short; otherwise does nothing. */
int root_main_settle(struct root *root, struct reason *reason);

/* Removes the files that an interrupted creation left behind. */
int root_main_remove(struct root *root);

/* Renames what is left of a lost main copy to *.given-up. */
int root_main_abandon(struct root *root);

/* Whether the root is kept where the configuration says: 0, or -RE_REFUSED with a reason. */
int root_main_check(const struct root *root, struct reason *reason);
