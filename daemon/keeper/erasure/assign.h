/* Giving a recording from quarantine to the account it belongs to.
 *
 * Its key moves in the tree: the same key, sealed once more under the account's group, and its
 * former place below the quarantine erased, with an epoch of its own. Both in one transaction, so
 * that there is never a recording without a key, nor a key whose former place nobody remembers.
 * From the erasure point on, a shred of the account destroys it (docs/erasure.md, "Moving"). The
 * sealed object stays as it is, and says in its header that it was sealed for the quarantine. */
#pragma once

#include "daemon/keeper/erasure/erasure.h"

/* row is in quarantine, account is one that recordings are sealed for: the caller has checked. On
 * success the recording is the account's, and only the account's. -errno or -RE_*: if
 * assign_is_noted() then, it is the account's, and its former place is erased as soon as that can
 * be done (a shred of the account until then erases both); else nothing has changed. */
int assign_recording(struct vault *vault, const struct recording_row *row,
		const struct account_row *account, uid_t uid, const char *reason,
		struct erasure_result *ret_result);

/* 1 when a former place of this recording, as row was before, is still to be erased; 0 when not. */
int assign_is_noted(struct vault *vault, const struct recording_row *row);
