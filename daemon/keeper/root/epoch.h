/* The epoch commit: a fresh root replaces the present one, and the present one ceases to exist.
 *
 *     1  stage     (transaction)  new rows beside the old, top sealed under R'          epoch_stage
 *     2  write     inactive slot := R' of epoch e+1                                     epoch_write
 *     3  read back inactive slot, open the staged top with it                           epoch_write
 *     4  overwrite the active slot, read back: THE ERASURE POINT                        epoch_write
 *     5  apply     (transaction)  staged rows replace the old, tombstones, audit        epoch_apply
 *
 * What a crash leaves, and what epoch_recover() makes of it (active slot / inactive slot / stage):
 *
 *     e     / -     / empty    nothing was under way
 *     e     / -     / staged   before 2 was complete: back to e, stage discarded
 *     e     / e+1   / staged   before 4: forward; the active slot is overwritten now
 *     torn  / e+1   / staged   during 4: forward; likewise
 *     -     / e+1   / staged   after 4: forward; apply
 *     -     / e+1   / empty    after 5: nothing to do (e+1 is the present epoch)
 *
 * Anything else is not a crash but another state put back: refused.
 *
 * With mirrors (mirrors.h) a step concerns that slot of every copy: step 2 is complete when all
 * copies have been written and read back, step 4 when all have been overwritten. A copy that fails
 * in between is away, and no erasure is final without it. Past step 2 the keeper goes on with the
 * new root and its rows, because only these are sure to open, and the erasure stays pending for a
 * later epoch (EPOCH_ENTERED). */
#pragma once

#include <stdio.h>

#include "daemon/keeper/keys/key_path.h"
#include "daemon/keeper/root/root.h"

/* Step 1: in the caller's transaction. *ret_next (secret memory, free with secret_free()) is for
 * the other steps. */
int epoch_stage(struct root *root, struct key_path *victims, size_t n,
		struct root_record **ret_next);

/* Steps 2 to 4; returns 0 only after the erasure point. EPOCH_ENTERED: the new root is written,
 * but not every old one could be overwritten; the caller applies the rows and leaves the notes. On
 * a negative result the present root is still the valid one and the caller discards the stage;
 * unless *ret_stuck is set: then the slots are in a state that only a restart can sort out, and the
 * keeper must stop. */
#define EPOCH_ENTERED 1
int epoch_write(struct root *root, const struct root_record *next, bool *ret_stuck);

/* The stage is void: in the caller's transaction. */
int epoch_discard(struct root *root);

/* Step 5's part: in the caller's transaction. */
int epoch_apply(struct root *root, const struct root_record *next);

/* After the transaction of step 5: the new root is the tree's, and the object store witnesses its
 * epoch. */
int epoch_enter(struct root *root, const struct root_record *next);

/* At start: reads the slots and brings slots and database together as the table says. Afterwards
 * either the tree is open, or the table says "apply": then *ret_forward (secret memory, the
 * caller's) is the root to go forward with, and the caller does step 5. The epoch is then past its
 * erasure point if no copy is away; otherwise treat it like EPOCH_ENTERED. On failure the reason
 * says what the administrator can do: -RE_EPOCH, -RE_NO_ROOT, -errno. */
int epoch_recover(struct root *root, struct reason *reason, struct root_record **ret_forward);

/* The first epoch of a new vault: writes slot 0. Inside the transaction that made the tree. */
int epoch_first(struct root *root, const uint8_t key[static ROOT_KEY_BYTES],
		struct root_record *ret_record);

/* Notes the present epoch in the object folder; where that fails, root->witness_owed. */
void epoch_witness(struct root *root);
