/* Erasure: the one way in which recordings, expiry groups and accounts are destroyed.
 *
 * An erasure is the five steps of an epoch commit (root/epoch.h) around the catalog:
 *
 *     note     the items, through the gate (gate.h), and stage the re-keyed tree: one transaction
 *     write    the new root, then overwrite the old one: the erasure point
 *     prove    that what was destroyed does not open any more
 *     finish   say so in catalog and audit log: one transaction
 *     reply
 *
 * If the proof fails after the erasure point, that is an alarm (-RE_NOT_ERASED, with everything
 * else done).
 *
 * The cost of an erasure goes with its items, however many recordings are below them. Rows and
 * objects of what was destroyed, unreadable by then, are cleared away afterwards (bury.h). */
#pragma once

#include "daemon/keeper/root/root.h"
#include "daemon/keeper/vault/predecessors.h"
#include "storage/tables/erasure_table.h"

/* What an erasure works on; all borrowed. */
struct eraser {
	struct root *root;
	struct predecessors *predecessors;
};

struct erasure_result {
	int64_t recordings, plain_bytes;
	uint64_t epoch_before, epoch_after;
	int64_t destroyed_us;
	bool only_moves; /* nothing was destroyed: keys only left the paths they had before */
	size_t refused;  /* items that the gate did not let pass; only of expiries */
};

/* Erases n items in one epoch. Returns only when the erasure point is passed, and the catalog
 * durably says for all that was below them that it is destroyed.
 *
 * On failure nothing is destroyed yet, and the reason says why: -RE_REFUSED from the gate (nothing
 * is noted; an expiry that the gate refuses is left out instead, and counted); -RE_AWAY for a copy
 * of the root that cannot be reached; -RE_CORRUPT with what is damaged; -errno. What is noted by
 * then (erasure_table_is_noted()) is pending, and is carried out later or, if the erasure point was
 * passed, said to be destroyed at the next start. */
int erasure_run(struct eraser *eraser, const struct erasure_item *items, size_t n,
		struct erasure_result *ret_result, struct reason *reason);

/* The same without items of its own: prepare changes what it will, and notes keys that it leaves
 * behind (former_node.h), in the transaction that stages the epoch, so that the one is not without
 * the other. Below 0 from prepare: nothing has changed. */
int erasure_run_with(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct erasure_result *ret_result, struct reason *reason);

/* At start: finishes an erasure that a crash interrupted. forward is the root that epoch_recover()
 * gave (NULL: no epoch was past its erasure point). Then carries out what is noted and pending. */
int erasure_recover(
		struct eraser *eraser, const struct root_record *forward, struct reason *reason);

/* Carries out erasures that are noted but could not be done when they were ordered. */
int erasure_retry(struct eraser *eraser, struct reason *reason);
