/* Giving a recording from quarantine to the account it belongs to.
 *
 * Its key moves in the tree: the same key is sealed once more under the account's group, and the
 * path it had below the quarantine is erased, with an epoch of its own. Both are in one
 * transaction, so that there is never a recording without a key, nor a key at a former path that
 * nobody remembers. From the erasure point on, a shred of the account destroys the recording
 * (docs/erasure.md, "Moving"). The sealed object stays as it is, and says in its header that it was
 * sealed for the quarantine. */
#pragma once

#include "daemon/keeper/erasure/erasure.h"

struct assign_order {
	const struct recording_row *row;   /* in quarantine */
	const struct account_row *account; /* one that recordings are sealed for */
	struct audit_actor actor;
};

/* The caller has checked row and account. On success the recording is the account's, and only the
 * account's. -errno or -RE_*, with a reason: if assign_is_noted() then, the recording is the
 * account's, and its key's former path is erased as soon as that can be done (a shred of the
 * account until then erases both); otherwise nothing has changed. */
int assign_recording(struct eraser *eraser, const struct assign_order *order,
		struct erasure_result *ret_result, struct reason *reason);

/* 1 when a former path of this recording, as row was before, is still to be erased; 0 when not. */
int assign_is_noted(struct db *db, const struct recording_row *row);
