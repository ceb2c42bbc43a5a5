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

/* Before an epoch: looks at every member, takes back those that can be reached
 * again, and notes which cannot. 0 when all are there and hold the present root and no other, else
 * -RE_AWAY with a sentence. A vault without mirrors keeps its one copy as a member even when that is
 * not at its path or cannot be read: why_away then says so. */
int mirrors_ready(struct root *root, struct reason *reason);

/* The same now and then, without an epoch to come: reads a root without mirrors as well. */
int mirrors_look(struct root *root, struct reason *reason);

/* Looks whether the file of each member is still at its path, and changes nothing: what is not there
 * has why_away set, or is away where others are left. Cheap. */
void mirrors_check_paths(struct root *root);

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
