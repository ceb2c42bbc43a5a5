/* What an epoch does about a copy of the root that was given up. A file of its own, so that a test
 * can take the fresh keys away and show that the copy would then open later recordings. */
#pragma once

#include "daemon/keeper/erasure/erasure_notes.h"

/* If a copy of the root of this epoch was given up: the keys that it opens would also open what is
 * sealed under them later. So every account gets a fresh key, and later recordings get new groups.
 * Where a damaged key makes that impossible (all == false), the next epoch has to do it. */
int erasure_shut_out(struct db *db, uint64_t epoch, bool all, struct victims *victims);
