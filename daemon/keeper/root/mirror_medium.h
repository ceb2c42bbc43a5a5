/* Where one mirror of the root is: made, opened, and overwritten and removed.
 *
 * A mirror in a file is DIR/root.slots, made and guarded as the keeper's own
 * (storage/root/root.h). One in a TPM has its root.tpm2 in the keeper's directory, in
 * mirror-ID/. */
#pragma once

#include "daemon/keeper/root/root.h"
#include "storage/tables/mirror_table.h"

/* On failure each fills in the reason: -errno or -RE_*. */

/* Makes the place, with empty slots. -EEXIST when there is a root file already. A failure leaves
 * nothing behind that ever held a root. */
int mirror_medium_create(struct root *root, const struct mirror_row *row, struct reason *reason,
		struct root_provider **ret_provider);

int mirror_medium_open(struct root *root, const struct mirror_row *row, struct reason *reason,
		struct root_provider **ret_provider);

/* Whether what is open is still what is found there. */
int mirror_medium_check(struct root *root, const struct mirror_row *row,
		const struct root_provider *provider, struct reason *reason);

/* Notes the state, in a transaction, and in the row. */
int mirror_medium_note(struct root *root, struct mirror_row *row, enum mirror_state state);

/* Whether what is found there is the mirror that was given up: it holds a root of that time. */
int mirror_medium_is_back(struct root *root, const struct mirror_row *row, struct reason *reason);

/* Overwrites all that is there, notes that as MIRROR_EMPTY, then removes the place; the row stays.
 * It must be found, unless it is empty on record: the medium may not be mounted. Where only the
 * removal fails, row->state is MIRROR_EMPTY afterwards. */
int mirror_medium_retire(struct root *root, struct mirror_row *row, struct reason *reason);

/* Whether the place lies on the same filesystem as the keeper's directory, and so dies with it. */
bool mirror_medium_is_near(const struct root *root, const struct mirror_row *row);
