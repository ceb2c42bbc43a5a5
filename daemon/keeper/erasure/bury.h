/* Burial: the cleaning up after an erasure. Tombstones are written; private data, the rows of keys
 * and expiry groups are cleared away; objects are removed. It goes in strides, so that an account
 * of a million recordings holds nothing up. Rows that are left for a later stride are unreadable,
 * and no reader of the catalog sees a difference (burial_table.h). After a crash the strides go on
 * where they stopped. */
#pragma once

#include <stdbool.h>

#include "base/reason.h"
#include "storage/objects/object_store.h"
#include "storage/tables/db.h"

/* Both ask the gate (gate.h) before anything goes: -RE_REFUSED with a reason means that the
 * database was altered, and that nothing of the stride was cleared away. */

/* One stride, in a transaction of its own: about max rows. *ret_more: there is more to bury. */
int bury_rows(struct db *db, int64_t max, bool *ret_more, struct reason *reason);

/* Unlinks up to max objects of what is buried; *ret_more says whether there are others. */
int bury_objects(struct db *db, struct object_store *store, size_t max, bool *ret_more,
		struct reason *reason);
