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

static uint64_t bucket_mix(uint64_t hash, int64_t value)
{
	uint64_t z = (hash ^ (uint64_t)value) + 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* While the time is not known, what expires_us says is a guess that may put into one bucket what
 * does not belong together. Those share a group that stay together however the time is put right.
 */
static int64_t bucket_untimed(const struct recording_row *row, int64_t longest_us)
{
	uint64_t hash = bucket_mix(0, expiry_bucket(row->counted_us, longest_us));

	hash = bucket_mix(hash, row->keep.months);
	hash = bucket_mix(hash, row->keep.us);
	if (row->keep_from == KEEP_FROM_RECORDED)
		hash = bucket_mix(
				hash, 1 + expiry_bucket(period_end_us(row->recorded_us, &row->keep),
							  longest_us));
	return catalog_times_untimed_bucket((int64_t)(hash >> 3));
}

void expiry_place(const struct recording_row *row, int64_t *ret_bucket, int64_t *ret_due_us)
{
	if (row->sealed_clock != SEALED_CLOCK_UNKNOWN) {
		*ret_due_us = row->expires_us;
		*ret_bucket = expiry_bucket(row->expires_us, row->expires_us - row->sealed_us);
		return;
	}
	int64_t longest_us = period_longest_us(&row->keep);
	*ret_bucket = bucket_untimed(row, longest_us);
	if (__builtin_add_overflow(row->counted_us, longest_us, ret_due_us))
		*ret_due_us = INT64_MAX;
}
