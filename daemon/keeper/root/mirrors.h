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

/* Before an epoch, and now and then: looks at every member, brings those in line that can be reached
 * again, and notes which cannot. A member that refuses writes is away for longer and longer spells
 * (root_set_note_failure()). 0 when all are there and hold the present root and no other, else
 * -RE_AWAY, told of with vault_trouble(). A vault without mirrors is always ready. */
int mirrors_ready(struct root *root, struct reason *reason);

/* "the root mirror usb (/media/usb): why", for the first that is away. */
void mirrors_explain_away(const struct root *root, struct reason *reason);

/* An image of the present root in secret memory, from a member that holds it. */
int mirrors_image(struct root *root, uint8_t ret_image[static ROOT_IMAGE_BYTES]);

/* What a look at a member finds. */
struct mirrors_seen {
	bool there;        /* reachable, and it holds the present root */
	struct reason why; /* it is not: in words */
};

/* Looks at every member, and changes nothing: neither on a medium, nor in the database, nor in the
 * set. What is away stays as the latest mirrors_ready() found it. (mirrors_look.c) */
void mirrors_look(struct root *root, struct mirrors_seen ret_seen[static ROOT_MEMBERS_MAX]);

/* Whether the open file of a member is still the one at its location: 0, or -errno with words. */
int mirrors_check_there(struct root *root, size_t i, struct reason *reason);
