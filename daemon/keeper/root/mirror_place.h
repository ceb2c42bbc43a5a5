/* Where one mirror of the root is: made, opened, and overwritten and removed.
 *
 * A mirror in a file is DIR/root.slots, made and guarded as the keeper's own
 * (storage/root/root.h). One in a TPM has its root.tpm2 in the keeper's directory, in
 * mirror-ID/. */
#pragma once

#include "daemon/keeper/vault/vault.h"
#include "storage/tables/mirror_table.h"

/* Writes a sentence, and returns r. */
int mirror_say(int r, char why[static ROOT_TROUBLE_BYTES], const char *format, ...)
		__attribute__((format(printf, 3, 4)));

/* Each writes a sentence on failure to why. -errno or -RE_*. */

/* Makes the place, with empty slots. -EEXIST when there is a root file already. A failure leaves
 * nothing behind that ever held a root. */
int mirror_place_create(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES], struct root_provider **ret_provider);

int mirror_place_open(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES], struct root_provider **ret_provider);

/* Whether what is open is still what is found there. */
int mirror_place_check(struct vault *vault, const struct mirror_row *row,
		const struct root_provider *provider, char why[static ROOT_TROUBLE_BYTES]);

/* Notes the state, in a transaction, and in the row. */
int mirror_place_note(struct vault *vault, struct mirror_row *row, enum mirror_state state);

/* Whether what is found there is the mirror that was given up: it holds a root of that time. */
int mirror_place_is_back(struct vault *vault, const struct mirror_row *row,
		char why[static ROOT_TROUBLE_BYTES]);

/* Overwrites all that is there, notes that as MIRROR_EMPTY, then removes the place; the row stays.
 * It must be found, unless it is empty on record: the medium may not be mounted. Where only the
 * removal fails, row->state is MIRROR_EMPTY afterwards. */
int mirror_place_retire(
		struct vault *vault, struct mirror_row *row, char why[static ROOT_TROUBLE_BYTES]);

/* Whether the place lies on the same filesystem as the keeper's directory, and so dies with it. */
bool mirror_place_is_near(const struct vault *vault, const struct mirror_row *row);
