/* The head of a FLAC frame, and the two sums over frames (RFC 9639 sections 9.1 to 9.3). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/probe/flac.h"

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
