/* Makes a new vault.
 *
 * While it is made there is a file `creating` in the keeper's directory: the mark. It holds a
 * digest of the vault's first root key, so that it proves of a root that it was made for this
 * vault and never used. What becomes of a directory with the mark:
 *
 *     keeper.db says which vault it is    the vault is whole; the mark goes (vault_create_forget())
 *     a root that the mark does not know  refused: keeper.db is to be restored
 *     anything else                       holds nothing; overwritten, removed, made once more
 *
 * keeper.db says which vault it is from its first transaction after the schema on; without that it
 * holds no account and no recording. */
#pragma once

#include "base/reason.h"
#include "daemon/keeper/open/vault.h"

/* Whether there is nothing yet, or what there is was never finished. */
bool vault_create_is_due(struct vault *vault);

/* As vault_open(). */
int vault_create(struct vault *vault, struct reason *reason);

/* The vault was opened, so a mark beside it means nothing. */
void vault_create_forget(struct vault *vault);

/* The root's floor borrows the database. */
void vault_create_connect(struct vault *vault);
