/* How long recordings lay in plaintext after they were finished: the last EXPOSURE_SAMPLES of them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EXPOSURE_SAMPLES 1024

struct exposure {
	int64_t sample_us[EXPOSURE_SAMPLES];
	size_t count; /* ever added */
};

void exposure_add(struct exposure *exposure, int64_t us);
/* The p-th percentile (0 < p <= 100) by nearest rank, or -1 when there are no samples. */
int64_t exposure_percentile_us(const struct exposure *exposure, unsigned p);
