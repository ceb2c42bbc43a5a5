/* The root slots of a vault's members, as records: for the epoch commit and its recovery. */
#pragma once

#include "daemon/keeper/root/root.h"

/* Writes a record into one member's slot and reads it back. */
int epoch_slot_put(struct root *root, size_t i, unsigned slot, const struct root_record *record);

/* 1 and the record when the member's slot holds a valid one, 0 when not, or an error of the medium.
 */
int epoch_slot_get(struct root *root, size_t i, unsigned slot, struct root_record *ret_record);

/* Whether the member can be reached. */
bool epoch_slot_there(const struct root *root, size_t i);

/* A member that failed with r is away from now on; false, and it stays, when there is no other. */
bool epoch_slot_lose(struct root *root, size_t i, int r);
