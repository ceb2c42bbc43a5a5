/* Mirrors of the root: copies on other media, so that the loss of one copy does not lose the living
 * recordings.
 *
 * The root has copies, the main copy and its mirrors, each at a location. A vault opens with any
 * copy that can be reached. An erasure waits for all: until each copy has overwritten the old root,
 * nothing is destroyed. There must never be a copy that nobody knows; so a mirror is on record
 * (mirror_table.h) before it holds a root, until it was overwritten or an officer gave it up.
 *
 * A copy that was away is brought in line when it is back. No epoch passed meanwhile, so it holds
 * the present root, unless a commit was cut short just then; any root of the past that it holds is
 * overwritten. A copy that holds a root of a later epoch stays away: the database is an old one. */
#pragma once

#include "daemon/keeper/root/root.h"
#include "storage/tables/mirror_table.h"

/* The main copy, in the set of copies. */
#define MIRROR_MAIN   "main"
#define MIRROR_OF_OWN 0

/* For a new vault: makes the main copy. -errno, with a reason. */
int mirrors_create(struct root *root, struct reason *reason);

/* Opens every copy; adopt as for root_file_open(). 0 when one or more can be reached, else -errno
 * or -RE_*, with a reason. */
int mirrors_open(struct root *root, bool adopt, struct reason *reason);

/* Before an epoch, and now and then: checks every copy, takes back those that can be reached again,
 * and notes which cannot. 0 when all are there and hold the present root and no other, else
 * -RE_AWAY with a reason (which may be NULL). Without mirrors only the root file's presence is
 * checked. */
int mirrors_ready(struct root *root, struct reason *reason);

/* Sets the reason to "the root mirror usb (/media/usb): why" for the first copy that is away. */
void mirrors_explain_away(const struct root *root, struct reason *reason);

/* Copies an image of the present root, into secret memory, from a copy that holds it. */
int mirrors_image(struct root *root, uint8_t ret_image[static ROOT_IMAGE_BYTES]);

/* --- Changes, on an officer's order (mirror_change.c). All are durable on return, and in the audit
 * log. Where they fail the reason says why: -RE_REFUSED for what policy forbids, -ENOENT for no
 * such mirror, -errno or -RE_*. */

struct mirror_order {
	const char *name, *reason;
	enum mirror_kind kind;
	const char *location; /* NULL to drop, or to replace the main copy */
	uid_t uid;
};

int mirror_add_new(struct root *root, const struct mirror_order *order, struct reason *reason);

/* Overwrites the mirror and forgets it. A mirror that has been away for AwayLimit= is given up
 * instead; it stays on record until it is back and is dropped once more. */
int mirror_drop(struct root *root, const struct mirror_order *order, struct reason *reason);

/* Makes a new copy at another location, under the same name, and drops the old one. The main copy
 * can be replaced only when it is lost, that is, away for AwayLimit=; the new one is made where the
 * configuration says (Root=). */
int mirror_replace(struct root *root, const struct mirror_order *order, struct reason *reason);
