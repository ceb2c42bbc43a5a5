/* A FLAC file that is too long to be read whole, in places: is it one stream, up to its end?
 *
 * Frames are numbered. In one stream the numbers grow from place to place, and its last frame ends
 * with the file and with the total of the header. Where something was appended the numbers fall
 * back in between, or the last one is another. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/flac_frame.h"
#include "daemon/probe/source.h"

/* Reads FLAC_SPOTS pieces between at and the end, and the end: some megabytes. block_samples is
 * what the numbers of frames count in, where they are frames of one size. */
#define FLAC_SPOTS 64
bool flac_spots_agree(struct source *source, uint64_t at, const struct flac_info *info,
		uint64_t block_samples);
