/* Why an erasure cannot be staged: damaged keys.
 *
 * The keys beside the victims have to be sealed again under fresh keys, so they must open. The
 * erasure does not give up a damaged one: a copy of the database made since the last erasure may
 * have it whole, and would be useless after this erasure. */
#pragma once

#include "base/reason.h"
#include "daemon/keeper/root/root.h"

/* What did not open in the latest staging, in words. */
void erasure_damage_explain(const struct root *root, struct reason *reason);
