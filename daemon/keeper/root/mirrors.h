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

/* Before an epoch, and now and then: checks every copy, brings those in line that can be reached
 * again, and notes which cannot. A copy that refuses writes is away for longer and longer spells
 * (root_set_note_failure()). 0 when all are there and hold the present root and no other, else
 * -RE_AWAY with a reason (which may be NULL). Without mirrors a root file is checked by its name
 * only, and a TPM by a read. */
int mirrors_ready(struct root *root, struct reason *reason);

/* The same now and then, without an epoch to come: without mirrors it reads the root as well.
 * That one copy stays in the set also when it is not at its path or cannot be read; why_away
 * then says so. */
int mirrors_watch(struct root *root, struct reason *reason);

/* Checks whether the file of each copy is still at its path, and writes nothing: a copy that is not
 * there gets a why_away, or is away where others are left. Cheap. */
void mirrors_check_paths(struct root *root);

/* Sets the reason to "the root mirror usb (/media/usb): why" for the first copy that is away. */
void mirrors_explain_away(const struct root *root, struct reason *reason);

/* Copies an image of the present root, into secret memory, from a copy that holds it. */
int mirrors_image(struct root *root, uint8_t ret_image[static ROOT_IMAGE_BYTES]);

/* What a look at a copy finds. */
struct mirrors_seen {
	bool there;        /* reachable, and it holds the present root */
	struct reason why; /* it is not: in words */
};

/* Looks at every copy, and changes nothing: neither on a medium, nor in the database, nor in the
 * set. What is away stays as the latest mirrors_ready() found it. (mirrors_look.c) */
void mirrors_look(struct root *root, struct mirrors_seen ret_seen[static ROOT_MEMBERS_MAX]);

/* Whether the open file of a copy is still the one at its location: 0, or -errno with words. */
int mirrors_check_there(struct root *root, size_t i, struct reason *reason);

/* For mirrors*.c: the one copy there is, without mirrors. read: with a real read of it. Its problem
 * is told once per spell. */
int mirrors_alone_ready(struct root *root, bool read, struct reason *reason);
void mirrors_alone_tell(struct root *root, const struct reason *why);
