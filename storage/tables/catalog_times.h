/* Putting the times of recordings right, once the time is known.
 *
 * A recording that was sealed while nobody knew the time (SEALED_CLOCK_UNKNOWN) lies in an expiry
 * group of its own kind, whose bucket is negative and whose due time is on the vault's own count
 * (vault_clock.h). When its times are put right, its group is marked, and
 * catalog_times_settle_groups() then gives every marked group the due time of its members and
 * closes it: nothing joins it any more.
 *
 * All of it is done in the caller's transaction. */
#pragma once

#include "storage/tables/catalog.h"

/* A bucket of groups whose members' time was not known, from a number below 2^61. */
static inline int64_t catalog_times_untimed_bucket(int64_t bucket)
{
	return -1 - bucket;
}

/* The recording with the least id above after_id that lives and was sealed at an unknown time;
 * group: of this group only, 0: of any. 0, -ENOENT. The caller frees with
 * catalog_recording_clear(). */
int catalog_times_next_unknown(
		struct db *db, int64_t group, int64_t after_id, struct recording_row *ret_row);

/* The recording with the greatest id below before_id that lives. 0, -ENOENT. */
int catalog_times_before(struct db *db, int64_t before_id, struct recording_row *ret_row);

/* The id of the newest recording; 0 when there is none. */
int catalog_times_newest(struct db *db, int64_t *ret_id);

/* Stores recorded_us, sealed_us, expires_us and sealed_clock of a row, and marks its group. */
int catalog_times_set(struct db *db, const struct recording_row *row);

int catalog_times_settle_groups(struct db *db);
