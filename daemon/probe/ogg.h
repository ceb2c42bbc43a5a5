/* How an Ogg file ends (RFC 3533): libsndfile counts frames up to the last page it finds, and does
 * not tell whether the writer lived to close the stream. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/source.h"

struct ogg_tail {
	bool whole;         /* the last page ends where the file does */
	bool end_of_stream; /* it carries the end-of-stream flag */
	int64_t granule;    /* its granule position; <= 0: no audio ended on or before it */
};

/* 0; 1 when the file does not begin as Ogg; 2 when no page was found near its end. */
int ogg_scan(struct source *source, struct ogg_tail *ret_tail);
