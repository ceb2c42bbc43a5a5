#include "daemon/probe/flac_spots.h"

#include <stdlib.h>

#include "base/cleanup.h"

/* Frames of up to 24 bits in stereo fit several times, of any size that encoders make. */
#define SPOT_BYTES ((size_t)64 << 10)

static uint64_t spot_sample(const struct flac_frame *frame, uint64_t block_samples)
{
	return frame->fixed_block ? frame->number * block_samples : frame->number;
}

/* The first frame's head in these bytes. False when there is none. */
static bool find_head(const uint8_t *p, size_t len, const struct flac_info *info,
		struct flac_frame *ret_frame)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] == 0xff && flac_frame_read(p + i, len - i, info, ret_frame) == 0)
			return true;
	}
	return false;
}

/* Whether these bytes, the file's last ones, end with a whole frame that ends with the total. */
static bool ends_with_total(
		const uint8_t *p, size_t len, const struct flac_info *info, uint64_t block_samples)
{
	struct flac_frame frame;

	for (size_t i = len; i-- > 0;) {
		uint16_t crc = 0;
		if (p[i] != 0xff || flac_frame_read(p + i, len - i, info, &frame) != 0)
			continue;
		for (size_t at = i; at < len; at++)
			crc = flac_frame_crc16(crc, p[at]);
		if (crc == 0)
			return spot_sample(&frame, block_samples) + frame.samples ==
			       info->total_samples;
	}
	return false;
}

bool flac_spots_agree(struct source *source, uint64_t at, const struct flac_info *info,
		uint64_t block_samples)
{
	_cleanup_free_ uint8_t *piece = malloc(SPOT_BYTES);
	uint64_t step = (source->size_bytes - at) / FLAC_SPOTS, before = 0;
	struct flac_frame frame;

	if (!piece || info->total_samples == 0)
		return false;
	for (unsigned n = 0; n < FLAC_SPOTS; n++, at += step) {
		size_t len = source_read(source, piece, SPOT_BYTES, at);
		if (!find_head(piece, len, info, &frame))
			return false;
		uint64_t sample = spot_sample(&frame, block_samples);
		if (sample < before || sample >= info->total_samples)
			return false;
		before = sample;
	}
	return source_read(source, piece, SPOT_BYTES, source->size_bytes - SPOT_BYTES) ==
			       SPOT_BYTES &&
	       ends_with_total(piece, SPOT_BYTES, info, block_samples);
}
