/* Places in spools, and which recording had them last. Goes with a recording when it is destroyed. */
#pragma once

#include "storage/catalog.h"

/* Gives the place, known by a keyed hash, to the recording. *ret_before is the id of the one that had
 * it, 0 for none. Within the caller's transaction. */
int place_assign(struct db *db, const uint8_t lookup[static CATALOG_LOOKUP_BYTES],
	int64_t recording, int64_t *ret_before);
