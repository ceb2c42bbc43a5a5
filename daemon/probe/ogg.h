/* Audio in Ogg (RFC 3533): is every page there, was every stream closed, and how long is it?
 *
 * A file may be a chain of streams, one after the other (section 4), each with a clock of its own;
 * libsndfile knows the first one only, or none, and neither Speex nor FLAC in Ogg. So every page is
 * read (sweep.h), its sum checked, and the length is that of all streams: of each, from where
 * its first page begins to where its last page ends, by their granule positions. Where other
 * streams run beside it (video), the first audio stream counts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/ogg_codec.h"
#include "daemon/probe/source.h"

struct ogg {
	struct ogg_codec codec;  /* of the first audio stream; kind OGG_CODEC_NONE: none is known */
	unsigned links;          /* of the chain */
	unsigned open_links;     /* without an end of stream */
	bool last_open;          /* the last one is such a link */
	bool beside;             /* other streams run beside the audio */
	uint64_t frames;         /* at the codec's sample rate; PROBE_FRAMES_UNKNOWN */
	uint64_t claimed_frames; /* what headers say; frames, where they do not */
	unsigned gaps;           /* pages missing or spoilt, with whole ones behind them */
	unsigned strays;         /* pages of streams that do not begin in the file */
	bool unplaced;           /* pages of audio do not tell their positions */
	uint64_t whole_bytes;    /* up to the end of the last whole page */
	bool gave_up;            /* too long to sweep: the above is not known of all of it */
};

/* 0; 1 when the file does not begin with a whole Ogg page. */
int ogg_scan(struct source *source, struct ogg *ret_ogg);
