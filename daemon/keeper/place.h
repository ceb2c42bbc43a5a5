/* Recordings that had the same place in a spool: a file that was written on, or written anew under its
 * name, after it was sealed is a second recording, and says which one it follows.
 *
 * The place is known by a hash of the spool and the path under the key of the account's own record:
 * a guessed file name can be confirmed by nobody once the account is shredded, nor once the recording
 * is destroyed, when the row goes. */
#pragma once

#include "daemon/keeper/recordings.h"

/* Takes the place for a recording that was just added, and sets private->follows when another of the
 * account had it and still exists. Within the caller's transaction. -errno, -RE_*. */
int place_take(
	struct vault *vault, const struct recording_row *row, struct recording_private *private);
