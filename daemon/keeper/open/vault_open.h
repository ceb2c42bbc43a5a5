/* Opens a vault, or makes a new one. */
#pragma once

#include "base/reason.h"
#include "daemon/keeper/open/vault.h"
#include "daemon/keeper/vault/clock_machine.h"

struct vault_setup {
	const struct config *config; /* borrowed, as long as the vault is open */
	struct clock_machine machine;
	struct notices notices;   /* where to tell what happens */
	uint64_t accept_restored; /* the epoch at which to accept a copied root file; 0: never */
	uint64_t accept_altered;  /* the epoch at which to accept that rows of the database were
				   * deleted or put back outside the keeper; 0: never */
};

/* Opens the vault below the configured directories, or makes a new one when the keeper's directory
 * is empty. Finishes what a crash left under way. On failure the reason says what, where and what
 * to do. 0; -RE_BUSY; -RE_EPOCH, -RE_MOVED (resurrection guard); -RE_NO_ROOT; -RE_CORRUPT;
 * -errno. */
int vault_open(const struct vault_setup *setup, struct vault **ret_vault, struct reason *reason);
