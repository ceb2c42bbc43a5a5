/* How an Ogg file ends (RFC 3533): libsndfile counts frames up to the last page it finds, and does
 * not tell whether the writer lived to close the stream. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/source.h"

#define OGG_OPUS_CLOCK 48000 /* of Opus granule positions, whatever the audio's rate */

struct ogg_tail {
	bool whole;         /* the last page ends where the file does */
	bool end_of_stream; /* it carries the end-of-stream flag */
	int64_t granule;    /* its granule position; <= 0: no audio ended on or before it */
	/* Where the last page is cut: the granule position of the one before, 0 when not found, and
	 * the bytes up to its end. */
	int64_t whole_granule;
	uint64_t whole_bytes;
	uint16_t opus_skip; /* samples at 48 kHz to leave out of any count; 0: no Opus (RFC 7845) */
	bool opus;
};

/* 0; 1 when the file does not begin as Ogg; 2 when no page was found near its end. */
int ogg_scan(struct source *source, struct ogg_tail *ret_tail);
