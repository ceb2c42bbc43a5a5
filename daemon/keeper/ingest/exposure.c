/* The last samples, sorted when somebody asks. */
#include "daemon/keeper/ingest/exposure.h"

#include <stdlib.h>
#include <string.h>

void exposure_add(struct exposure *exposure, int64_t us)
{
	exposure->sample_us[exposure->count++ % EXPOSURE_SAMPLES] = us;
}

static int sample_compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int64_t exposure_percentile_us(const struct exposure *exposure, unsigned p)
{
	size_t n = exposure->count < EXPOSURE_SAMPLES ? exposure->count : EXPOSURE_SAMPLES;
	int64_t sorted[EXPOSURE_SAMPLES];

	if (n == 0)
		return -1;
	memcpy(sorted, exposure->sample_us, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), sample_compare);
	size_t rank = (n * p + 99) / 100;
	return sorted[rank ? rank - 1 : 0];
}
