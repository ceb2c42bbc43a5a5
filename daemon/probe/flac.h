/* FLAC (RFC 9639): how much of it is there, frame by frame, against what its header claims.
 *
 * The header (STREAMINFO) has the total of samples, 0 where the writer did not know it. Decoders
 * stop there, or at the end of the file, without a word on what follows or is missing. The frames
 * do not tell their length, so the file is swept (sweep.h): a frame is whole when the sum over it
 * is right where the next one begins. A further stream may have been appended; its samples count.
 *
 * Of a file that is too long to be swept, the rest is looked at in places (flac_spots.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/flac_frame.h"
#include "daemon/probe/source.h"

struct flac {
	struct flac_info info; /* of the first stream */
	unsigned streams;
	uint64_t samples;     /* in whole frames, of all streams */
	uint64_t frames;      /* that are whole */
	uint64_t broken;      /* frames that are not, and gaps between frames */
	uint64_t audio_bytes; /* from the first frame to the end */
	bool gave_up;         /* too long to sweep: samples and frames are not those of all */
	bool spots_agree;     /* of such a file: the rest looks like that of one whole stream */
};

/* 0; 1 when the file does not begin as FLAC, with a whole header. */
int flac_scan(struct source *source, struct flac *ret_flac);
