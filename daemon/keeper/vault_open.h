/* Opens the vault, or makes a new one. */
#pragma once

#include <stdio.h>

#include "daemon/keeper/vault/vault.h"

/* Opens the vault below the configured directories, or makes a new one when the keeper's directory
 * is empty. Finishes what a crash left under way. accept_restored is 0, or the epoch at which a
 * copied root file is to be accepted. On failure a sentence saying what, where and what to do is
 * written to errors. 0; -RE_BUSY; -RE_EPOCH, -RE_MOVED (resurrection guard); -RE_NO_ROOT;
 * -RE_CORRUPT; -errno. */
int vault_open(const struct config *config, struct clock clock, uint64_t accept_restored,
		FILE *errors, struct vault **ret_vault);
struct vault *vault_close(struct vault *vault);
