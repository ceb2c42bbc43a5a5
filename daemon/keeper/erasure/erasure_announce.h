/* What an erasure tells the operator when it is done: how much was destroyed, by whose orders. */
#pragma once

#include "daemon/keeper/erasure/erasure_notes.h"
#include "daemon/keeper/erasure/outcome.h"
#include "daemon/keeper/root/root.h"

void erasure_announce_done(const struct root *root, const struct erasure_result *result,
		const struct erasure_done *done, size_t n);
