#include "daemon/probe/mpeg.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/sweep.h"

/* A stream that was recorded from its middle begins within a frame. */
#define START_SEARCH_BYTES 8192
/* So much of a frame's beginning and of what may be a tag is looked at; an ID3v2 tag only by its
 * header, Lyrics3 up to here. */
#define LOOK_BYTES ((size_t)16 << 10)
/* The same where the next frame is looked at ahead. So much less that the window (sweep.h) is not
 * moved forth and back. */
#define NEXT_BYTES ((size_t)128)
/* Two headers in a row, of one kind, and with the length of a frame between them: no chance. */
#define CERTAIN_FRAMES 2

enum { LAYER_3 = 1, LAYER_2 = 2, LAYER_1 = 3 };

/* In units of 1000 bit/s (ISO/IEC 11172-3 section 2.4.2.3, 13818-3 section 2.4.2.3). */
static const uint16_t bitrates[5][16] = {
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 0},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 0},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
};

static uint32_t frame_bitrate(bool mpeg1, unsigned layer, unsigned index)
{
	unsigned row = mpeg1 ? 3 - layer : layer == LAYER_1 ? 3 : 4;

	return bitrates[row][index] * 1000u;
}

static uint32_t frame_samples(bool mpeg1, unsigned layer)
{
	if (layer == LAYER_1)
		return 384;
	return layer == LAYER_3 && !mpeg1 ? 576 : 1152;
}

/* Side information: 32 or 17 bytes in MPEG 1, 17 or 9 in MPEG 2 and 2.5 (stereo or mono). */
static uint32_t frame_side_bytes(bool mpeg1, bool mono)
{
	if (mpeg1)
		return mono ? 17 : 32;
	return mono ? 9 : 17;
}

/* 0; 1 when no frame's header is there. */
static int read_mpeg_frame(const uint8_t *p, struct mpeg_frame *ret_frame)
{
	static const uint32_t rates[] = {44100, 48000, 32000};
	unsigned version = p[1] >> 3 & 3, layer = p[1] >> 1 & 3; /* versions: 3 is 1, 2, 0 is 2.5 */
	unsigned bitrate = p[2] >> 4, rate = p[2] >> 2 & 3, pad = p[2] >> 1 & 1;
	bool mpeg1 = version == 3, mono = p[3] >> 6 == 3;

	if (p[0] != 0xff || (p[1] & 0xe0) != 0xe0 || version == 1 || layer == 0 || bitrate == 15 ||
			rate == 3 || (p[3] & 3) == 2)
		return 1;
	struct mpeg_frame frame = {
			.samples = frame_samples(mpeg1, layer),
			.sample_rate = rates[rate] >> (mpeg1                         ? 0
								      : version == 2 ? 1
										     : 2),
			.channels = mono ? 1 : 2,
			.side_bytes = layer == LAYER_3 ? frame_side_bytes(mpeg1, mono) : 0,
			.layer = 4 - layer,
			.kind = version << 8 | layer << 4 | rate,
	};
	uint32_t bits = frame_bitrate(mpeg1, layer, bitrate);
	if (layer == LAYER_1)
		frame.bytes = bits > 0 ? (12 * bits / frame.sample_rate + pad) * 4 : 0;
	else
		frame.bytes = bits > 0 ? frame.samples / 8 * bits / frame.sample_rate + pad : 0;
	*ret_frame = frame;
	return 0;
}

/* A walk along the frames. */
struct walk {
	struct sweep sweep;
	uint64_t at, end;
	uint32_t kind;         /* of the frames of this part */
	struct mpeg_tag tag;   /* of this part; zeros: none */
	uint32_t part_samples; /* of a frame, in this part */
	uint32_t part_rate;
	uint64_t part_frames;
	struct mpeg *mpeg;
};

/* The bytes at an offset, none of them behind the end. */
static const uint8_t *walk_bytes(struct walk *walk, uint64_t at, size_t least, size_t *ret_len)
{
	const uint8_t *p = sweep_at(&walk->sweep, at, least, ret_len);

	if (at >= walk->end)
		*ret_len = 0;
	else if (*ret_len > walk->end - at)
		*ret_len = (size_t)(walk->end - at);
	return p;
}

/* Whether a frame begins there, and others of its kind follow it, or the end does. */
static bool frames_begin(struct walk *walk, uint64_t at)
{
	struct mpeg_frame first, frame;
	size_t len;

	for (unsigned n = 0; n < CERTAIN_FRAMES; n++) {
		const uint8_t *p = walk_bytes(walk, at, NEXT_BYTES, &len);
		if (n > 0 && len == 0)
			return true;
		if (len < MPEG_HEADER_BYTES || read_mpeg_frame(p, &frame) != 0 || frame.bytes == 0)
			return n > 0 && mpeg_tag_foreign(p, len) > 0;
		if (n > 0 && frame.kind != first.kind)
			return false;
		first = frame;
		at += frame.bytes;
	}
	return true;
}

/* The next offset from which frames can be followed, or a known tag does; the end if none. */
static uint64_t find_frames(struct walk *walk, uint64_t at, uint64_t limit)
{
	while (at < limit) {
		size_t len;
		const uint8_t *p = walk_bytes(walk, at, LOOK_BYTES, &len);
		if (len == 0)
			break;
		const uint8_t *sync = memchr(p, 0xff, len);
		if (!sync) {
			at += len;
			continue;
		}
		at += (uint64_t)(sync - p);
		if (at >= limit || frames_begin(walk, at))
			break;
		at++;
	}
	return at < limit ? at : limit;
}

/* Adds a part's samples, at the first part's rate. What its tag says is padding was only written if
 * the part is whole. */
static void close_part(struct walk *walk)
{
	uint64_t samples = walk->part_frames * walk->part_samples, left_out = walk->tag.delay;

	if (walk->tag.frames <= walk->part_frames)
		left_out += walk->tag.padding;
	samples = samples > left_out ? samples - left_out : 0;
	if (walk->part_rate > 0)
		walk->mpeg->samples += samples * walk->mpeg->sample_rate / walk->part_rate;
	walk->part_frames = 0;
	walk->tag = (struct mpeg_tag){.frames = 0};
}

static void open_part(struct walk *walk, const struct mpeg_frame *frame, const struct mpeg_tag *tag)
{
	close_part(walk);
	walk->kind = frame->kind;
	walk->part_samples = frame->samples;
	walk->part_rate = frame->sample_rate;
	if (tag)
		walk->tag = *tag;
	walk->mpeg->parts++;
}

/* Whether the frame is followed by a frame, a known tag or the end. If not, and frames begin within
 * it, then it was cut, and something was appended: returns where, or 0. */
static uint64_t frame_is_cut(struct walk *walk, const struct mpeg_frame *frame)
{
	struct mpeg_frame next;
	uint64_t end = walk->at + frame->bytes, found;
	size_t len;
	const uint8_t *p = walk_bytes(walk, end, NEXT_BYTES, &len);

	if (len < MPEG_HEADER_BYTES || read_mpeg_frame(p, &next) == 0 ||
			mpeg_tag_foreign(p, len) > 0)
		return 0;
	found = find_frames(walk, walk->at + 1, end);
	return found < end ? found : 0;
}

/* One whole frame. Tags are frames too, and begin a part. */
static void take_frame(struct walk *walk, const uint8_t *p, const struct mpeg_frame *frame)
{
	struct mpeg_tag tag;

	if (mpeg_tag_read(p, frame->bytes, frame, &tag) == 0 &&
			!(tag.bare && walk->mpeg->parts > 0)) {
		open_part(walk, frame, &tag);
	} else {
		if (frame->kind != walk->kind || walk->mpeg->parts == 0)
			open_part(walk, frame, NULL);
		walk->part_frames++;
		walk->mpeg->frames++;
	}
	walk->at += frame->bytes;
}

/* What is no frame: a tag that is known, or bytes that are passed over up to the next frames. */
static void pass_foreign(struct walk *walk, const uint8_t *p, size_t len)
{
	uint64_t bytes = mpeg_tag_foreign(p, len), next;

	if (bytes > 0 && bytes <= walk->end - walk->at) {
		walk->at += bytes;
		return;
	}
	next = find_frames(walk, walk->at + 1, walk->end);
	walk->mpeg->foreign_bytes += next - walk->at;
	walk->at = next;
}

static void walk_frames(struct walk *walk)
{
	struct mpeg_frame frame;

	while (walk->at < walk->end && !walk->sweep.gave_up) {
		size_t len;
		const uint8_t *p = walk_bytes(walk, walk->at, LOOK_BYTES, &len);
		if (len == 0)
			break; /* it cannot be read: the source keeps the error */
		bool begins = len >= MPEG_HEADER_BYTES && read_mpeg_frame(p, &frame) == 0;
		if (begins && frame.bytes == 0 && frame.kind == walk->kind) {
			walk->mpeg->free_format = true;
			return;
		}
		uint64_t next;
		if (!begins || frame.bytes == 0 ||
				(frame.kind != walk->kind && !frames_begin(walk, walk->at))) {
			pass_foreign(walk, p, len);
		} else if (frame.bytes > len) {
			walk->mpeg->cut = true;
			return;
		} else if ((next = frame_is_cut(walk, &frame)) > 0) {
			walk->mpeg->foreign_bytes += next - walk->at;
			walk->at = next;
		} else {
			/* Looking ahead may have moved the window. */
			p = walk_bytes(walk, walk->at, LOOK_BYTES, &len);
			if (len < frame.bytes)
				break;
			take_frame(walk, p, &frame);
		}
	}
}

static void take_claims(const struct mpeg_tag *tag, struct mpeg *mpeg)
{
	mpeg->tagged = tag->frames > 0 || tag->bytes > 0;
	mpeg->unclosed = tag->placeholder;
	mpeg->claimed_frames = tag->frames;
	mpeg->claimed_bytes = tag->bytes;
}

/* Finds the first frame, behind any tag. 0; 1. */
static int walk_start(struct walk *walk)
{
	struct mpeg_frame frame;
	struct mpeg_tag tag;
	size_t len;
	const uint8_t *p = walk_bytes(walk, walk->at, LOOK_BYTES, &len);

	for (uint64_t bytes; (bytes = mpeg_tag_foreign(p, len)) > 0;) {
		if (bytes >= walk->end - walk->at)
			return 1;
		walk->at += bytes;
		p = walk_bytes(walk, walk->at, LOOK_BYTES, &len);
	}
	uint64_t limit = walk->at + START_SEARCH_BYTES < walk->end ? walk->at + START_SEARCH_BYTES
								   : walk->end;
	p = walk_bytes(walk, walk->at, LOOK_BYTES, &len);
	if (len < MPEG_HEADER_BYTES || read_mpeg_frame(p, &frame) != 0 ||
			(frame.bytes > 0 && !frames_begin(walk, walk->at)))
		walk->at = find_frames(walk, walk->at, limit);
	p = walk_bytes(walk, walk->at, LOOK_BYTES, &len);
	if (len < MPEG_HEADER_BYTES || read_mpeg_frame(p, &frame) != 0)
		return 1;
	walk->kind = frame.kind;
	walk->mpeg->sample_rate = frame.sample_rate;
	walk->mpeg->channels = frame.channels;
	walk->mpeg->frame_samples = frame.samples;
	walk->mpeg->layer = frame.layer;
	walk->mpeg->present_bytes = walk->end - walk->at;
	if (mpeg_tag_read(p, frame.bytes > 0 && frame.bytes < len ? frame.bytes : len, &frame,
			    &tag) == 0)
		take_claims(&tag, walk->mpeg);
	return 0;
}

int mpeg_scan(struct source *source, uint64_t at, uint64_t end, struct mpeg *ret_mpeg)
{
	struct mpeg mpeg = {.tagged = false};
	struct walk walk = {.at = at, .end = end, .mpeg = &mpeg};
	int r = 1;

	if (at >= end || end > source->size_bytes || sweep_start(source, &walk.sweep) < 0)
		return 1;
	if (walk_start(&walk) == 0) {
		walk_frames(&walk);
		close_part(&walk);
		mpeg.gave_up = walk.sweep.gave_up;
		*ret_mpeg = mpeg;
		r = 0;
	}
	sweep_end(&walk.sweep);
	return r;
}
