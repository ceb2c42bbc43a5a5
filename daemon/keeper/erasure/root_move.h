/* Moves the root from its file to a TPM, or back, as one epoch over both
 * (storage/root/root_pair.h). */
#pragma once

#include "daemon/keeper/erasure/erasure.h"

/* Moves the root to where the configuration says, in one epoch; nothing when it is there. On
 * failure the vault is as it was, or a restart finishes the move. -RE_REFUSED; -errno, -RE_*, with
 * a reason. */
int root_move(struct eraser *eraser, struct reason *reason);
