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

/* Objects of what is buried, in three steps, as removing them waits for the store: which ones are
 * to go, on the loop; their removal, durable on return, in any thread that is the store's only
 * burier (object_store.h); and the note that they are gone, on the loop. A batch that is removed
 * and not noted, after a crash, is removed once more, which is no error. */
struct bury_objects {
	uint8_t (*ulids)[ULID_BYTES];
	size_t n;
	bool more; /* there may be others */
};
int bury_objects_take(
		struct db *db, size_t max, struct bury_objects *ret_batch, struct reason *reason);
int bury_objects_remove(struct object_store *store, const struct bury_objects *batch);
int bury_objects_done(struct db *db, const struct bury_objects *batch);
void bury_objects_free(struct bury_objects *batch);

/* All three at once, at most max; *ret_more: there may be others. */
int bury_objects(struct db *db, struct object_store *store, size_t max, bool *ret_more,
		struct reason *reason);
