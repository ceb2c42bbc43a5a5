/* Recordings of one account, backwards. */
#pragma once

#include "storage/tables/catalog.h"

/* The newest recording of the account whose id is below this one and which is not destroyed. The
 * caller frees with catalog_recording_clear(). 0; -ENOENT; -errno. */
int catalog_recording_before(
		struct db *db, int64_t account, int64_t id, struct recording_row *ret_row);
