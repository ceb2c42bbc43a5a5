/* Mirrors of the root: other media that hold the same root as the keeper's own place ("any of"), so
 * that the loss of one does not lose the living.
 *
 * A vault opens with whatever member of the set can be reached. An epoch waits for all: until each
 * has overwritten its copy, nothing is destroyed. What must never be is a copy that nobody knows
 * of; so a mirror is on record (mirror_table.h) before it holds a root, until it was overwritten,
 * or an officer gave it up.
 *
 * A member that was away is brought in line when it is back: as no epoch passed meanwhile it holds
 * the present root, unless a commit was cut short just then; what else it holds that is of the past
 * is overwritten. One that holds a root from a later epoch stays away: the database is an old one.
 */
#pragma once

#include "daemon/keeper/root/root.h"
#include "storage/tables/mirror_table.h"

/* The keeper's own place, in the set. */
#define MIRROR_MAIN   "main"
#define MIRROR_OF_OWN 0

/* For a new vault: makes the keeper's own place. -errno, with a sentence on errors. */
int mirrors_create(struct root *root, struct reason *reason);

/* Opens the places there are; adopt as for root_file_open(). 0 when one or more can be reached,
 * else -errno or -RE_*, with a sentence on errors. */
int mirrors_open(struct root *root, bool adopt, struct reason *reason);

/* Once rows can be told from forgeries (root_trust_rows()): a mirror whose row was altered is away,
 * so that nothing is written where somebody else may read it. */
void mirrors_distrust(struct root *root);
/* After that: what is left of mirrors that were being added or removed when the keeper last stopped
 * goes; one that cannot be cleared is away. */
int mirrors_clear_up(struct root *root);

/* Before an epoch, and now and then: looks at every member, takes back those that can be reached
 * again, and notes which cannot. 0 when all are there and hold the present root and no other, else
 * -RE_AWAY, told of with vault_trouble(). A vault without mirrors is always ready. */
int mirrors_ready(struct root *root, struct reason *reason);

/* "the root mirror usb (/media/usb): why", for the first that is away. */
void mirrors_explain_away(const struct root *root, struct reason *reason);

/* An image of the present root in secret memory, from a member that holds it. */
int mirrors_image(struct root *root, uint8_t ret_image[static ROOT_IMAGE_BYTES]);

/* --- Changes, on an officer's order (mirror_change.c). All are durable on return, and in the audit
 * log. A sentence goes to why where they fail: -RE_REFUSED for what policy forbids, -ENOENT for no
 * such mirror, -errno or -RE_*. */

struct mirror_order {
	const char *name, *reason;
	enum mirror_kind kind;
	const char *place; /* NULL to drop, or to replace the keeper's own */
	uid_t uid;
};

int mirror_add_new(struct root *root, const struct mirror_order *order, struct reason *reason);

/* Overwrites the mirror and forgets it; or, when it has been away for AwayLimit=, gives it up,
 * which stays on record until it is dropped again with the mirror back. */
int mirror_drop(struct root *root, const struct mirror_order *order, struct reason *reason);

/* A new place instead of the old one, under the same name. The keeper's own can be replaced only
 * when it is lost: away for AwayLimit=; the new one is where the configuration says (Root=). */
int mirror_replace(struct root *root, const struct mirror_order *order, struct reason *reason);
