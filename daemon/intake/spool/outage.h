/* An outage: something that works as a rule fails for a while. It is reported without a flood: when
 * it begins, then with a count and never more than once a minute, and once when it is over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct outage {
	bool reported;      /* this outage */
	unsigned failures;  /* since the last report */
	bool reported_ever; /* this one or an earlier one */
	int64_t reported_us;
};

#define OUTAGE_REPEAT_US (60 * INT64_C(1000000))

/* One more failure, at now_us (monotonic). When it is time to report, returns how many there were
 * since the last report; else 0. */
unsigned outage_failed(struct outage *outage, int64_t now_us);

/* It works. True when that ends an outage that was reported. What fails and works by turns makes at
 * most one such pair of messages a minute. */
bool outage_over(struct outage *outage);
