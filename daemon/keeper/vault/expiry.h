/* When a recording expires, and with which others of its account.
 *
 * Recordings of one account that expire within one bucket of time share an expiry group, so that a
 * day of recordings costs one batch. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/tables/catalog.h"

/* Which bucket an expiry falls into: days for what is kept 30 days or more, hours for a day or
 * more, seconds below. */
int64_t expiry_bucket(int64_t expires_us, int64_t keep_us);

/* What is due by its recorded time already is kept for this long from its sealing: that time is a
 * claim of whoever may write to the spool. */
#define EXPIRY_GRACE_US (INT64_C(86400) * 1000000)

/* Sets expires_us from keep, keep_from, recorded_us and sealed_us. From the sealing: its period
 * after that. From the recording: its period after recorded_us, but neither later than from the
 * sealing nor before a day has passed since the sealing (or the whole period, when that is
 * shorter). True: that day is what keeps it. */
bool expiry_set(struct recording_row *row);

/* The bucket and due time with which the row joins a group. While the time is not known, both are
 * on the vault's own count, from the sealing, and as late as the period can make it. */
void expiry_place(const struct recording_row *row, int64_t *ret_bucket, int64_t *ret_due_us);
