/* Time for waiting, which nobody can set: microseconds since some moment. */
#pragma once

#include <stdint.h>
#include <uv.h>

static inline int64_t monotonic_us(void)
{
	return (int64_t)(uv_hrtime() / 1000);
}
