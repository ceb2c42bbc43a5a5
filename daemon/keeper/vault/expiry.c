#include "daemon/keeper/vault/expiry.h"

#include "base/clock.h"
#include "storage/tables/catalog_times.h"

int64_t expiry_bucket(int64_t expires_us, int64_t keep_us)
{
	int64_t width_us = keep_us >= 30 * US_PER_DAY ? US_PER_DAY
			   : keep_us >= US_PER_DAY    ? 3600 * US_PER_S
						      : US_PER_S;

	return expires_us / width_us;
}

bool expiry_set(struct recording_row *row)
{
	int64_t from_sealed_us = period_end_us(row->sealed_us, &row->keep);
	int64_t from_recorded_us = period_end_us(row->recorded_us, &row->keep), least_us;

	row->expires_us = from_sealed_us;
	if (row->keep_from == KEEP_FROM_SEALED || from_recorded_us >= from_sealed_us)
		return false;
	if (__builtin_add_overflow(row->sealed_us, EXPIRY_GRACE_US, &least_us) ||
			least_us > from_sealed_us)
		least_us = from_sealed_us;
	row->expires_us = from_recorded_us > least_us ? from_recorded_us : least_us;
	return row->expires_us == least_us;
}

void expiry_place(const struct recording_row *row, int64_t *ret_bucket, int64_t *ret_due_us)
{
	int64_t due_us = row->expires_us;
	int64_t bucket = expiry_bucket(due_us, due_us - row->sealed_us);

	if (row->sealed_clock == SEALED_CLOCK_UNKNOWN) {
		bucket = catalog_times_untimed_bucket(bucket);
		if (__builtin_add_overflow(row->counted_us, period_longest_us(&row->keep), &due_us))
			due_us = INT64_MAX;
	}
	*ret_bucket = bucket;
	*ret_due_us = due_us;
}
