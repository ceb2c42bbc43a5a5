/* The brake of a spool. When one recording after another fails for a reason that the next one would
 * meet as well (the object disk is full, no descriptors are left), there is no sense in trying the
 * rest of a long queue: the spool then tries one recording at a time, with growing pauses, until
 * one succeeds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRAKE_AFTER    8 /* failures in a row */
#define BRAKE_FIRST_US INT64_C(500000)
#define BRAKE_MAX_US   INT64_C(8000000)

struct brake {
	unsigned failures; /* in a row */
	int64_t pause_us;  /* 0: off */
	int64_t until_us;  /* monotonic */
};

void brake_failed(struct brake *brake, int64_t now_us);
void brake_succeeded(struct brake *brake);

/* Whether one more recording may be tried beside those under way. */
bool brake_allows(const struct brake *brake, size_t under_way, int64_t now_us);
