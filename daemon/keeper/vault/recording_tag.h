/* The tag of a sealed object against the catalog. */
#pragma once

#include "daemon/keeper/vault/recordings.h"

/* Whether an object's tag says of the recording what its row says: what it is, when it was recorded
 * and sealed, how long it is kept (no times when these were put right in the row: vault_clock.h).
 * The caller checks the header's MAC (recordings_open()). 0;
 * -RE_ALTERED when it does not, with which field in ret_field (static storage); -RE_HEADER;
 * -ENOENT when the object is missing; -errno. */
int recording_tag_check(const struct recordings *from, const struct recording_row *row,
		const char **ret_field);
