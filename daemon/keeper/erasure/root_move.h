/* Moves the root from its file to a TPM, or back, as one epoch over both
 * (storage/root/root_pair.h). */
#pragma once

#include <stdio.h>

#include "daemon/keeper/vault/vault.h"

/* Moves the root to where the configuration says, in one epoch; nothing when it is there. On
 * failure the vault is as it was, or a restart finishes the move. */
int root_move(struct vault *vault, FILE *errors);
