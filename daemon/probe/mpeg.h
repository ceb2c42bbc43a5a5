/* MPEG audio, layers I to III (ISO/IEC 11172-3 and 13818-3): how much of it is there, counted frame
 * by frame, against what the encoder's tag claims.
 *
 * An MPEG stream has no header of the whole: encoders put a "Xing", "Info" or "VBRI" frame first
 * and fill it in when they close the file; a killed one leaves zeros there. Nothing corrects that
 * frame when somebody appends to the file or cuts it, and without it nothing tells the length but
 * the frames themselves. So all of them are followed (sweep.h). What a tag says is missing from the
 * first and the last frame (the encoder's delay and padding) is left out of the count, as players
 * leave it out. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/source.h"

struct mpeg {
	bool tagged;            /* the first frame is a tag that claims something */
	bool unclosed;          /* a placeholder for one that was never filled in */
	bool cut;               /* the last frame is not whole */
	bool free_format;       /* frames do not tell their length: nothing can be counted */
	bool gave_up;           /* too long to follow to its end: the counts are not those of all */
	uint32_t sample_rate;   /* of the first frame */
	uint32_t channels;      /* likewise */
	uint32_t frame_samples; /* likewise */
	unsigned layer;         /* likewise: 1 to 3 */
	unsigned parts;         /* streams, one appended to the other, as their tags show */
	uint64_t frames;        /* MPEG frames that are whole; tags are not counted */
	uint64_t samples;       /* in them, without delay and padding, at the first sample rate */
	uint64_t claimed_frames; /* of MPEG; 0: not said */
	uint64_t claimed_bytes;  /* from the tag to the end; 0: not said */
	uint64_t present_bytes;  /* from the first frame to the end */
	uint64_t foreign_bytes;  /* between and behind frames, neither frames nor known tags */
};

/* Follows the frames from at up to end. 0; 1 when none is found near the beginning. */
int mpeg_scan(struct source *source, uint64_t at, uint64_t end, struct mpeg *ret_mpeg);

/* Of one frame's header. */
struct mpeg_frame {
	uint32_t bytes; /* 0: free format */
	uint32_t samples, sample_rate, channels;
	uint32_t side_bytes; /* layer III: between the header and a tag */
	unsigned layer;      /* 1 to 3 */
	uint32_t kind;       /* version, layer and rate as the header has them */
};

#define MPEG_HEADER_BYTES 4
#define MPEG_TAG_BYTES    192 /* of a frame, that a Xing tag with all that belongs to it needs */

/* What a tag claims. */
struct mpeg_tag {
	bool placeholder;        /* room for a tag that was never filled in */
	bool bare;               /* with not even the tag's name in it */
	uint32_t frames, bytes;  /* 0: not said */
	uint32_t delay, padding; /* samples */
};

/* In mpeg_tag.c. 0; 1 when this frame of layer III, whose first len bytes these are, is no tag. */
int mpeg_tag_read(const uint8_t *p, size_t len, const struct mpeg_frame *frame,
		struct mpeg_tag *ret_tag);

/* The length of a tag that is no MPEG frame (ID3v1, ID3v2, APEv2, Lyrics3) and begins there; 0 when
 * none does. */
uint64_t mpeg_tag_foreign(const uint8_t *p, size_t len);
