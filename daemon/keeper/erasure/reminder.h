/* Reminders: what the keeper promised without an epoch, kept outside the database.
 *
 * A database that is put back from before an epoch is refused: the root has gone on. Within one
 * epoch it is not, and what the newest database knew beyond it would be forgotten. Two promises
 * must not be, and cannot have an epoch while a copy of the root is away: an order to erase that
 * waits ("pending"), and a mirror that was added meanwhile. The object folder keeps a reminder of
 * each (object_store.h), sealed under the vault's lookup key for this very epoch, and a start puts
 * into the database what is missing there.
 *
 * The next epoch makes reminders needless: from then on every database that opens knows what they
 * say. They are removed with it. */
#pragma once

#include "daemon/keeper/root/root.h"
#include "storage/tables/erasure_table.h"
#include "storage/tables/mirror_table.h"

/* Those of n items that are somebody's order and are noted by now. On failure
 * root->reminders_owed. Durable on return. */
int reminder_keep_orders(struct root *root, const struct erasure_item *items, size_t n);
/* All orders that are noted: what is owed. */
int reminder_keep_all(struct root *root);

/* A mirror, before it holds the root. Durable on return. */
int reminder_keep_mirror(struct root *root, const struct mirror_row *row);

/* At start: what the reminders of this epoch say, and the database does not, is noted in it, and
 * the journal tells of it. A mirror becomes a member that is away. -errno; a reminder that does not
 * open is passed over, and told of. */
int reminder_restore(struct root *root);
