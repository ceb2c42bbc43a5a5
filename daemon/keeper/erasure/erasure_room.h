/* Room for an erasure, in the log of keeper.db (the reserve of storage/tables/db.h). */
#pragma once

#include <stddef.h>

#include "daemon/keeper/root/root.h"

/* Before anything is noted or staged: the log gets room for an erasure of this many items,
 * notes and tombstones included, and keeps it until the erasure is done, whatever else fills
 * the disk. -ENOSPC says how much is needed and how much there is. */
int erasure_room_take(const struct root *root, size_t items, struct reason *reason);

/* After the stage and before any slot is written: room for the rest, now that the stage is seen to
 * have taken this much of the log. The second transaction writes what the first did, and removes
 * what it replaces. */
int erasure_room_take_rest(const struct root *root, uint64_t staged, struct reason *reason);

/* How many items there is room for now; at least one, so that somebody is told when there is
 * none. */
size_t erasure_room_items(const struct root *root);
