#include "daemon/probe/media.h"

#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"

#define NS_PER_S UINT64_C(1000000000)

int media_scan(struct source *source, struct media *ret_media)
{
	static int (*const scans[])(struct source * source, struct media * ret_media) = {
			media_boxes_scan, media_ebml_scan, media_mjr_scan};

	for (size_t i = 0; i < ELEMENTSOF(scans); i++) {
		if (scans[i](source, ret_media) == 0)
			return 0;
	}
	return 1;
}

uint64_t media_frames(uint64_t length_ns, uint32_t sample_rate)
{
	uint64_t seconds = length_ns / NS_PER_S, rest_ns = length_ns % NS_PER_S, frames;

	if (__builtin_mul_overflow(seconds, sample_rate, &frames) || frames > INT64_MAX / 2)
		return PROBE_FRAMES_UNKNOWN;
	return frames + (rest_ns * sample_rate + NS_PER_S / 2) / NS_PER_S;
}
