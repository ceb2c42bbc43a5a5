/* Recordings that had the same place in a spool: a file that was written on, or written anew under
 * its name, after it was sealed is a second recording, and says which one it follows.
 *
 * Which recording had a place is known in memory only, by hashes under a key that is nowhere else,
 * and forgotten at the erasure point. On disk such a hash would let whoever has an old copy of it,
 * and the account's living keys, confirm a guessed file name of a recording that was shredded. So
 * it is bounded: the last PREDECESSORS_MAX recordings that were sealed since the start, and of each
 * account that is sealed for, the PREDECESSORS_RECALLED before them. What is older is not linked.
 */
#pragma once

#include "daemon/keeper/keys/key_path.h"
#include "daemon/keeper/vault/recordings.h"

#define PREDECESSORS_MAX      16384
#define PREDECESSORS_RECALLED 64

struct predecessors;

/* NULL when out of memory. */
struct predecessors *predecessors_new(void);
struct predecessors *predecessors_free(struct predecessors *places);

/* Takes the place for a recording that is about to be committed, and sets private->follows when
 * another live one of its account had it. -ENOMEM; what cannot be read is not linked. */
int predecessors_take(struct predecessors *places, struct keytree *tree,
		const struct recording_row *row, struct recording_private *private);

/* How many are known; 0 for NULL. */
size_t predecessors_count(const struct predecessors *places);

/* Forgets, and wipes, what is below these paths of the key tree. places may be NULL. */
void predecessors_forget(struct predecessors *places, const struct key_path *paths, size_t n);
