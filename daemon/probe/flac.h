/* FLAC (RFC 9639): how much of it is there, frame by frame, against what its header claims.
 *
 * The header (STREAMINFO) has the total of samples, 0 where the writer did not know it. Decoders
 * stop there, or at the end of the file, without a word on what follows or is missing. The frames
 * do not tell their length, so the file is swept (sweep.h): a frame is whole when the CRC over it is
 * right where the next one begins. A further stream may have been appended; its samples count. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/probe/source.h"

#define FLAC_STREAMINFO_BYTES 34

struct flac_info {
	uint32_t block_samples; /* the largest */
	uint32_t sample_rate, channels, bits;
	uint64_t total_samples; /* 0: not said */
	bool fixed_block;
};

/* 0; 1 when no encoder writes this. */
int flac_info_read(const uint8_t info[static FLAC_STREAMINFO_BYTES], struct flac_info *ret_info);

struct flac {
	struct flac_info info; /* of the first stream */
	unsigned streams;
	uint64_t samples;     /* in whole frames, of all streams */
	uint64_t frames;      /* that are whole */
	uint64_t broken;      /* frames that are not, gaps between frames, and what is no frame */
	uint64_t audio_bytes; /* from the first frame to the end */
	bool gave_up;         /* too long to sweep: samples and frames are not those of all */
};

/* 0; 1 when the file does not begin as FLAC, with a whole header. */
int flac_scan(struct source *source, struct flac *ret_flac);
