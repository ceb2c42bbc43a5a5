#include "daemon/probe/flac.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/flac_spots.h"
#include "daemon/probe/mpeg.h"
#include "daemon/probe/sweep.h"

#define MAGIC_BYTES      4
#define BLOCK_HEAD_BYTES 4
#define BLOCKS_MAX       1024
#define LAST_BLOCK       0x80
#define HEADER_BYTES     (MAGIC_BYTES + BLOCK_HEAD_BYTES + FLAC_STREAMINFO_BYTES)

/* The magic, and a first block that is STREAMINFO and as long as it always is. */
static const uint8_t stream_start[] = {'f', 'L', 'a', 'C', 0, 0, 0, FLAC_STREAMINFO_BYTES};

/* Passes the metadata blocks of the stream that begins there. Returns where its audio begins; 0
 * when the header is cut or malformed. */
static uint64_t pass_header(struct source *source, uint64_t at, struct flac_info *ret_info)
{
	uint8_t start[HEADER_BYTES], head[BLOCK_HEAD_BYTES];

	if (source_read(source, start, sizeof(start), at) < sizeof(start) ||
			memcmp(start, stream_start, MAGIC_BYTES) != 0 ||
			(start[MAGIC_BYTES] & ~LAST_BLOCK) != 0 ||
			memcmp(start + 5, stream_start + 5, 3) != 0 ||
			flac_frame_info(start + MAGIC_BYTES + BLOCK_HEAD_BYTES, ret_info) != 0)
		return 0;
	at += sizeof(start);
	if (start[MAGIC_BYTES] & LAST_BLOCK)
		return at;
	for (unsigned n = 0; n < BLOCKS_MAX; n++) {
		if (source_read(source, head, sizeof(head), at) < sizeof(head))
			return 0;
		at += sizeof(head) + (get_be32(head) & 0xffffff);
		if (head[0] & LAST_BLOCK)
			return at <= source->size_bytes ? at : 0;
	}
	return 0;
}

/* A walk along the frames of a stream. */
struct frames {
	struct flac *flac;
	struct flac_info info; /* of this stream */
	struct flac_frame frame;
	bool in_frame;        /* frame is one that has begun */
	uint16_t crc;         /* from its beginning */
	bool was_whole;       /* the sum was right at some place before */
	uint64_t next_sample; /* that is to follow; counts what is missing in between */
	uint64_t block;       /* samples of the first frame: what fixed numbers count in */
};

static uint64_t frame_sample(const struct frames *frames, const struct flac_frame *frame)
{
	return frame->fixed_block ? frame->number * frames->block : frame->number;
}

/* The frame ends here, where another one begins or nothing does. Behind the last frame that the
 * header claims there may be other things (tags): then it is whole if it was so anywhere. */
static void end_frame(struct frames *frames)
{
	uint64_t end = frames->next_sample + frames->frame.samples;

	if (!frames->in_frame)
		return;
	if (frames->crc == 0 || (frames->was_whole && end == frames->info.total_samples)) {
		frames->flac->samples += frames->frame.samples;
		frames->flac->frames++;
	} else {
		frames->flac->broken++;
	}
	frames->next_sample = end;
	frames->in_frame = false;
}

/* Whether what looks like a frame's head is one: the one before is whole, or this one's number is
 * one that may follow. Chance makes a head that fits the stream and has a right sum, once in many
 * gigabytes. */
static bool frame_follows(const struct frames *frames, const struct flac_frame *frame)
{
	if (!frames->in_frame || frames->crc == 0)
		return true;
	uint64_t after = frames->next_sample + frames->frame.samples;
	return frame_sample(frames, frame) >= after &&
	       (frames->info.total_samples == 0 ||
			       frame_sample(frames, frame) < frames->info.total_samples);
}

static void begin_frame(struct frames *frames, const struct flac_frame *frame)
{
	end_frame(frames);
	if (frames->block == 0)
		frames->block = frame->samples;
	if (frame_sample(frames, frame) != frames->next_sample)
		frames->flac->broken++;
	frames->next_sample = frame_sample(frames, frame);
	frames->frame = *frame;
	frames->in_frame = true;
	frames->was_whole = false;
	frames->crc = 0;
}

/* Sweeps from at on. Returns where the next stream begins, or the end. */
static uint64_t sweep_frames(struct sweep *sweep, uint64_t at, struct frames *frames)
{
	uint64_t size = sweep->source->size_bytes;
	struct flac_frame frame;
	size_t len = 0;

	while (at < size && !sweep->gave_up) {
		const uint8_t *p = sweep_at(sweep, at, FLAC_FRAME_HEAD_MAX, &len);
		if (len == 0 || (len < FLAC_FRAME_HEAD_MAX && at + len < size))
			break;
		/* Up to where a head may not be whole in the window, unless the file ends. */
		size_t stop = at + len >= size ? len : len - FLAC_FRAME_HEAD_MAX + 1;
		for (size_t i = 0; i < stop; i++) {
			if (p[i] == 0xff &&
					flac_frame_read(p + i, len - i, &frames->info, &frame) ==
							0 &&
					frame_follows(frames, &frame))
				begin_frame(frames, &frame);
			else if (p[i] == 'f' && len - i >= sizeof(stream_start) &&
					memcmp(p + i, stream_start, MAGIC_BYTES + 1) == 0 &&
					p[i + 7] == FLAC_STREAMINFO_BYTES)
				return at + i;
			frames->crc = flac_frame_crc16(frames->crc, p[i]);
			frames->was_whole |= frames->crc == 0;
		}
		at += stop;
	}
	return size;
}

/* Every stream, from the first one's frames on. */
static void sweep_streams(struct sweep *sweep, uint64_t at, struct flac *flac)
{
	uint64_t size = sweep->source->size_bytes;
	struct frames frames = {.flac = flac, .info = flac->info};

	flac->streams = 1;
	for (;;) {
		at = sweep_frames(sweep, at, &frames);
		if (!sweep->gave_up)
			end_frame(&frames);
		if (sweep->gave_up)
			flac->spots_agree = flac->streams == 1 &&
					    flac_spots_agree(sweep->source, sweep->at, &frames.info,
							    frames.block);
		if (at >= size || sweep->gave_up)
			return;
		frames = (struct frames){.flac = flac};
		at = pass_header(sweep->source, at, &frames.info);
		if (at == 0) {
			flac->broken++;
			return;
		}
		flac->streams++;
	}
}

int flac_scan(struct source *source, struct flac *ret_flac)
{
	_cleanup_(sweep_end) struct sweep sweep = {.window = NULL};
	struct flac flac = {.streams = 0};
	uint8_t start[MPEG_TAG_BYTES];
	size_t len = source_read(source, start, sizeof(start), 0);
	uint64_t tag_bytes = mpeg_tag_foreign(start, len), at;

	at = pass_header(source, tag_bytes, &flac.info);
	if (at == 0 || sweep_start(source, &sweep) < 0)
		return 1;
	flac.audio_bytes = source->size_bytes - at;
	sweep_streams(&sweep, at, &flac);
	flac.gave_up = sweep.gave_up;
	*ret_flac = flac;
	return 0;
}
