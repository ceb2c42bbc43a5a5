/* Is the folder of objects the one that holds this vault's objects?
 *
 * It may be a mount point whose volume is not mounted, or have been replaced while the keeper
 * runs. The folder is known by the witness in it (epoch-N, epoch.h): every folder that this
 * vault has written to has one. While the right one is away nothing is sealed, so plaintext
 * stays where it is; no object is removed, which would only seem to succeed; and no witness is
 * written. Keys are erased all the same. */
#pragma once

#include "daemon/keeper/root/root.h"

/* Looks by path, each time. 0; -ENOMEDIUM with a sentence. A folder that is back is gone on
 * with. Told in the journal when it changes. Needs the tree. */
int objects_place_check(struct root *root, struct reason *reason);
