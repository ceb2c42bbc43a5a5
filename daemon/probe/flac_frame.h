/* What a FLAC stream says of itself, the head of a frame, and the two sums over frames (RFC 9639
 * sections 8.2 and 9.1 to 9.3). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLAC_STREAMINFO_BYTES 34

struct flac_info {
	uint32_t block_samples; /* the largest */
	uint32_t sample_rate, channels, bits;
	uint64_t total_samples; /* 0: not said */
	bool fixed_block;
};

/* Reads STREAMINFO (section 8.2). 0; 1 when no encoder writes this. */
int flac_frame_info(const uint8_t info[static FLAC_STREAMINFO_BYTES], struct flac_info *ret_info);

#define FLAC_FRAME_HEAD_MAX 16

struct flac_frame {
	uint64_t number; /* of the first sample, or of the frame where blocks are of fixed size */
	uint32_t samples;
	bool fixed_block;
	size_t head_bytes;
};

/* 0; 1 when no frame of this stream begins with these bytes. */
int flac_frame_read(const uint8_t *p, size_t len, const struct flac_info *info,
		struct flac_frame *ret_frame);

/* CRC-16 over these bytes, continued; 0 over a whole frame. */
uint16_t flac_frame_crc16(uint16_t crc, uint8_t byte);
