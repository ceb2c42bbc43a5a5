#include "daemon/intake/spool/refusals.h"

#include "base/bytes.h"
#include "base/clock.h"

#define HOUR_US (3600 * US_PER_S)

static bool refusal_seen(struct seen *reported, const struct refusal *refusal)
{
	uint8_t key[32];

	put_le64(key, refusal->spool);
	put_le64(key + 8, refusal->inode);
	put_le64(key + 16, refusal->kind);
	put_le64(key + 24, refusal->birth);
	return seen_add(reported, key, sizeof(key));
}

enum refusals_verdict refusals_note(struct refusals *refusals, struct seen *reported,
		const struct refusal *refusal, int64_t now_us)
{
	if (refusal->inode == 0 || refusal_seen(reported, refusal))
		return REFUSALS_KNOWN;
	if (now_us - refusals->hour_since_us >= HOUR_US) {
		refusals->hour_since_us = now_us;
		refusals->reported = 0;
	}
	refusals->reported++;
	if (refusals->reported > REFUSALS_PER_HOUR)
		return REFUSALS_TOO_MANY;
	return refusals->reported == REFUSALS_PER_HOUR ? REFUSALS_REPORT_LAST : REFUSALS_REPORT;
}

void refusals_begin_scan(struct refusals *refusals)
{
	refusals->scanned = 0;
}

void refusals_end_scan(struct refusals *refusals)
{
	refusals->count = refusals->scanned + refusals->unreadable;
	refusals->unreadable = 0;
}
