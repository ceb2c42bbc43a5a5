/* The medium of one mirror of the root: made, opened, overwritten and removed.
 *
 * A mirror in a file is DIR/root.slots, made and guarded as the keeper's own
 * (storage/root/root.h). One in a TPM has its root.tpm2 in the keeper's directory, in
 * mirror-ID/. */
#pragma once

#include "daemon/keeper/root/root.h"
#include "storage/tables/mirror_table.h"

/* On failure each fills in the reason: -errno or -RE_*. */

/* Makes the root file, or the TPM's indices, with empty slots. -EEXIST when there is a root file
 * already. A failure leaves nothing behind that ever held a root. */
int mirror_medium_create(struct root *root, const struct mirror_row *row, struct reason *reason,
		struct root_provider **ret_provider);

int mirror_medium_open(struct root *root, const struct mirror_row *row, struct reason *reason,
		struct root_provider **ret_provider);

/* Whether the open file is still the one found at the location. */
int mirror_medium_check(struct root *root, const struct mirror_row *row,
		const struct root_provider *provider, struct reason *reason);

/* Notes the state in the database, in a transaction of its own, and in the row. */
int mirror_medium_note(struct root *root, struct mirror_row *row, enum mirror_state state);

/* Whether the mirror that was given up is back at its location: it holds a root of that time. */
int mirror_medium_is_back(struct root *root, const struct mirror_row *row, struct reason *reason);

/* Overwrites the mirror's slots, notes MIRROR_EMPTY, then removes the file or the indices; the row
 * stays. Fails when the medium is not found, unless the row says that it is empty: a medium that is
 * not mounted must not count as overwritten. If only the removal fails, row->state is MIRROR_EMPTY
 * afterwards. */
int mirror_medium_retire(struct root *root, struct mirror_row *row, struct reason *reason);

/* Whether the mirror is on the same filesystem as the keeper's directory, and so is lost with
 * it. */
bool mirror_medium_is_near(const struct root *root, const struct mirror_row *row);
