/* Which recording was sealed earlier from the same path of a spool. A bridge may go on writing to a
 * file after it was sealed, or write another file of that name: this is a second recording, and it
 * says which one it follows.
 *
 * The keeper knows this in memory only, as hashes of the paths under a random key that is stored
 * nowhere, and forgets it at the erasure point. On disk such a hash would let anybody who has an
 * old copy of it, and the living keys of the account, confirm a guessed file name of a shredded
 * recording. So the memory is bounded: the last PREDECESSORS_MAX recordings sealed since the start,
 * and for each account that gets a recording, the PREDECESSORS_RECALLED before that. Older
 * recordings are not linked. */
#pragma once

#include "daemon/keeper/keys/key_path.h"
#include "daemon/keeper/vault/recordings.h"

#define PREDECESSORS_MAX      16384
#define PREDECESSORS_RECALLED 64

struct predecessors;

/* NULL when out of memory. */
struct predecessors *predecessors_new(void);
struct predecessors *predecessors_free(struct predecessors *known);

/* Notes the path of a recording that is about to be committed, and sets private->follows when
 * another live recording of its account had that path. -ENOMEM. A predecessor that cannot be read
 * is not linked. */
int predecessors_take(struct predecessors *known, struct keytree *tree,
		const struct recording_row *row, struct recording_private *private);

/* How many are known; 0 for NULL. */
size_t predecessors_count(const struct predecessors *known);

/* Forgets and wipes every entry whose key is below these paths of the key tree. known may be
 * NULL. */
void predecessors_forget(struct predecessors *known, const struct key_path *paths, size_t n);
