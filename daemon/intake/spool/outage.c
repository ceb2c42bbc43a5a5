#include "daemon/intake/spool/outage.h"

unsigned outage_failed(struct outage *outage, int64_t now_us)
{
	unsigned failures = ++outage->failures;

	/* Across outages as well: one that begins right after another is not reported at once. */
	if (outage->reported_ever && now_us - outage->reported_us < OUTAGE_REPEAT_US)
		return 0;
	*outage = (struct outage){.reported = true, .reported_ever = true, .reported_us = now_us};
	return failures;
}

bool outage_over(struct outage *outage)
{
	bool reported = outage->reported;

	outage->reported = false;
	outage->failures = 0;
	return reported;
}
