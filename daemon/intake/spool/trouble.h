/* A spell of trouble, told without a flood: when it begins, then with a count, never more than once
 * a minute, and once when it is over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct trouble {
	bool told;      /* in this spell */
	unsigned count; /* since it was last told */
	bool ever;
	int64_t told_us;
};

#define TROUBLE_REPEAT_US (60 * INT64_C(1000000))

/* Something went wrong at now_us (monotonic). Returns how many times it did since it was last told,
 * when it is time to tell; else 0. */
unsigned trouble_hit(struct trouble *trouble, int64_t now_us);

/* It went well. True when a spell that was told of has ended by that. Trouble that comes and goes
 * stays within one pair of messages a minute. */
bool trouble_over(struct trouble *trouble);
