/* What sealing leaves for the rest of the keeper.
 *
 * An erasure has its reserve in the log of keeper.db (storage/tables/db.h), and sealing never
 * writes into it. Beside that sealing leaves INGEST_ROOM_KEPT_BYTES and some inodes of the
 * keeper's filesystem free, when objects are on the same one, which is the default: for records
 * of plays and orders, and for the database to grow. */
#pragma once

#include "daemon/keeper/root/root.h"

#define INGEST_ROOM_KEPT_BYTES  (UINT64_C(4) << 20)
#define INGEST_ROOM_KEPT_INODES 16

/* Whether there is room for an object of this many bytes, beside what open jobs have still to
 * write. -ENOSPC with a sentence; in doubt 0, and then writing will tell. */
int ingest_room_check(
		const struct root *root, uint64_t bytes, uint64_t promised, struct reason *reason);
