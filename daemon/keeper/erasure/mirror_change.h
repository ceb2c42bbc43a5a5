/* Changes of where the root is kept, on an officer's order: add, drop, replace, give up.
 *
 * Each change is an epoch of its own, so that a database from before it does not open any more:
 *
 *     add       the mirror is on record in the epoch whose root is the first it holds
 *     drop      the mirror is overwritten, then its record goes, then the epoch
 *     give up   the record says so, then the epoch: the lost copy is of the past from then on
 *     replace   an add, and a drop or a giving up. For the main copy: the giving up with its epoch,
 *               then the new copy
 *
 * While another copy is away there can be no epoch. A mirror is then added with a reminder in the
 * object folder (reminder.h); a drop and a giving up need none, for a database that has forgotten
 * them only waits for a mirror that is gone. The epoch is owed then, and made as soon as it can be
 * (erasure_retry()). The main copy is not replaced while a mirror is away.
 *
 * All are durable on return, and in the audit log. A sentence goes to the reason where they fail:
 * -RE_REFUSED for what policy forbids, -ENOENT for no such mirror, -errno or -RE_*. */
#pragma once

#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/root/mirrors.h"

struct mirror_order {
	const char *name, *reason;
	enum mirror_kind kind;
	const char *location; /* NULL to drop, or to replace the main copy */
	uid_t uid;
};

int mirror_change_add(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason);

/* Overwrites the mirror and forgets it; or, when it has been away for AwayLimit=, gives it up,
 * which stays on record until it is dropped again with the mirror back. */
int mirror_change_drop(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason);

/* Makes a new copy at another location, under the same name, and drops the old one. The main copy
 * can be replaced only when it is lost, that is, away for AwayLimit=; the new one is made where the
 * configuration says (Root=). */
int mirror_change_replace(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason);
