/* What comes after an erasure, when all is destroyed and said: tombstones are written, private
 * data, keys' rows and expiry groups are cleared away, objects removed. In strides, so that an
 * account of a million recordings holds nothing up; what is left for a later stride is unreadable,
 * and no reader of the catalog sees a difference (burial_table.h). Strides go on after a crash
 * where they were. */
#pragma once

#include "daemon/keeper/vault/vault.h"

/* One stride, in a transaction of its own: about max rows. *ret_more: there is more to bury. */
int bury_rows(struct vault *vault, int64_t max, bool *ret_more);

/* Unlinks up to max objects of what is buried; *ret_more says whether there are others. */
int bury_objects(struct vault *vault, size_t max, bool *ret_more);
