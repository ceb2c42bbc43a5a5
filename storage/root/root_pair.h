/* Two root providers seen as one while a root moves from one to the other: the pair's slots are one
 * slot of each. So a move is an ordinary epoch commit, whose fresh root is written to the one
 * provider and whose old one is overwritten in the other; and a move that was cut short is
 * recovered like any commit. */
#pragma once

#include "storage/root/root.h"

/* Takes both providers. The pair's slot i is slot[i] of provider[i]; its assurance is the weaker of
 * the two. NULL when out of memory, and then both are still the caller's. */
struct root_provider *root_pair_new(struct root_provider *const provider[static ROOT_SLOTS],
		const unsigned slot[static ROOT_SLOTS]);

bool root_pair_is(const struct root_provider *provider);

/* Ends the pair: gives back the provider behind the pair's slot `keep`, and which of its own slots
 * that is, and the other provider. */
void root_pair_part(struct root_provider *pair, unsigned keep, struct root_provider **ret_kept,
		unsigned *ret_slot, struct root_provider **ret_other);
