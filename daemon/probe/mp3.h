/* What the first frame of an MP3 file says about the whole.
 *
 * Encoders put a "Xing" or "Info" frame first and fill it in when they close the file; a killed one
 * leaves zeros there. Without it an MP3 has no end mark, and nothing tells whether it was cut. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/source.h"

struct mp3_head {
	bool unclosed;          /* a placeholder frame that was never filled in */
	uint64_t claimed_bytes; /* from the first frame to the end; 0: not said */
	uint64_t present_bytes;
};

/* 0; 1 when no MPEG layer III frame follows the ID3v2 tag, if there is one. */
int mp3_scan(struct source *source, struct mp3_head *ret_head);
