/* The root slots of a vault's copies, as records: for the epoch commit and its recovery. */
#pragma once

#include "daemon/keeper/root/root.h"

/* Writes a record into a slot of copy i and reads it back. */
int epoch_slot_put(struct root *root, size_t i, unsigned slot, const struct root_record *record);

/* 1 and the record when the slot of copy i holds a valid one; 0 when not; or an error of the
 * medium. */
int epoch_slot_get(struct root *root, size_t i, unsigned slot, struct root_record *ret_record);

/* Whether copy i can be reached. */
bool epoch_slot_there(const struct root *root, size_t i);

/* From now on copy i, which failed with r, is away. False, and it stays, when it is the only one
 * left. */
bool epoch_slot_lose(struct root *root, size_t i, int r);
