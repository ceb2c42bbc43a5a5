/* What an erasure did. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct erasure_result {
	int64_t recordings, plain_bytes;
	uint64_t epoch_before, epoch_after;
	int64_t destroyed_us;
	bool only_moves; /* nothing was destroyed: keys only left the paths they had before */
	size_t refused;  /* items that the gate did not let pass; only of expiries */
};
