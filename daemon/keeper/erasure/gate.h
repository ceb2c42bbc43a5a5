/* The gate: may this be destroyed?
 *
 * Every way of destroying asks here, in the very transaction that notes it or carries it out, so
 * that nothing can change between the answer and the deed: a shred, an expiry, the removal of what
 * a move leaves behind, and the burial of what was destroyed. Nothing else in the keeper decides
 * it.
 *
 * Each returns 0 when it may be, -RE_REFUSED when not, with a sentence that names no person, or an
 * error; in doubt nothing is destroyed. */
#pragma once

#include "base/reason.h"
#include "storage/tables/burial_table.h"
#include "storage/tables/erasure_table.h"
#include "storage/tables/former_node.h"

/* A shred or an expiry, before it is noted: not while a legal hold is on any of it; and the
 * quarantine is no account that could be shredded as a whole. */
int gate_check_item(struct db *db, const struct erasure_item *item, struct reason *reason);

/* The key that a move leaves behind: only when the recording has its key elsewhere by now. */
int gate_check_former(struct db *db, const struct former_node *former, struct reason *reason);

/* The rows below an account or a group: only when that itself is a tombstone already. */
int gate_check_burial(struct db *db, const struct burial *burial, struct reason *reason);

/* An object: only when the recording's key is destroyed. */
int gate_check_object(struct db *db, const uint8_t ulid[static ULID_BYTES], struct reason *reason);
