/* How long a block plays: as its codec says, or else its group or its track. */
#include <string.h>

#include "base/cleanup.h"
#include "daemon/probe/matroska.h"

#define NS_PER_S        1e9
#define OPUS_UNIT_NS    2500000 /* the shortest frame */
#define PEEK_BYTES      600 /* flags, up to 255 laces of one byte or two, the first frame's head */
#define HOLLOW_BYTES    16
#define OPUS_PACKET_MAX 48 /* of those frames: 120 ms (RFC 6716 section 3.2.5) */

enum lacing {
	LACING_NONE = 0,
	LACING_XIPH = 2,
	LACING_FIXED = 4,
	LACING_EBML = 6,
	LACING_MASK = 6
};

/* The first frame of a block, and how many there are. */
struct frames {
	unsigned count;
	const uint8_t *first;
	size_t first_bytes; /* that were read of it */
	uint64_t bytes;     /* of all frames and the sizes before them */
};

/* Passes the sizes of all frames but the last (RFC 9559 section 10.3). */
static size_t lace_bytes(enum lacing lacing, const uint8_t *p, size_t len, unsigned count)
{
	size_t at = 0;
	uint64_t size;

	for (unsigned i = 1; i < count && at < len; i++) {
		if (lacing == LACING_XIPH) {
			while (at < len && p[at] == 255)
				at++;
			at++;
		} else if (lacing == LACING_EBML) {
			size_t bytes = ebml_vint(p + at, len - at, &size);
			at += bytes > 0 ? bytes : len;
		}
	}
	return at < len ? at : len;
}

static void unlace_frames(const uint8_t *p, size_t len, uint64_t size, struct frames *ret_frames)
{
	enum lacing lacing = p[0] & LACING_MASK;
	struct frames frames = {.count = 1, .first = p + 1, .first_bytes = len - 1};

	frames.bytes = size - 1;
	if (lacing != LACING_NONE && len >= 2) {
		frames.count = p[1] + 1U;
		size_t laces = lace_bytes(lacing, p + 2, len - 2, frames.count);
		frames.first = p + 2 + laces;
		frames.first_bytes = len - 2 - laces;
		frames.bytes = size - 2;
	}
	*ret_frames = frames;
}

/* RFC 6716 section 3.1 */
static uint64_t opus_packet_ns(const uint8_t *p, size_t len)
{
	static const uint8_t units[32] = {4, 8, 16, 24, 4, 8, 16, 24, 4, 8, 16, 24, 4, 8, 4, 8, 1,
			2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
	static const uint8_t counts[3] = {1, 2, 2};

	if (len < 1)
		return 0;
	unsigned code = p[0] & 3;
	if (code == 3 && len < 2)
		return 0;
	unsigned count = code < 3 ? counts[code] : p[1] & 0x3f;
	unsigned total = units[p[0] >> 3] * count;
	return total <= OPUS_PACKET_MAX ? (uint64_t)total * OPUS_UNIT_NS : 0;
}

/* The samples of a FLAC frame (RFC 9639 section 9.1); 0 when its head is not there. */
static unsigned flac_frame_samples(const uint8_t *p, size_t len)
{
	if (len < 16 || p[0] != 0xff || (p[1] & 0xfc) != 0xf8)
		return 0;
	unsigned code = p[2] >> 4;
	/* A frame number of 1 to 7 bytes follows, like a character of UTF-8. */
	size_t at = 5;
	for (uint8_t bit = 0x40; p[4] & 0x80 && p[4] & bit; bit >>= 1)
		at++;
	if (code == 1)
		return 192;
	if (code >= 2 && code <= 5)
		return 576U << (code - 2);
	if (code == 6)
		return p[at] + 1U;
	if (code == 7)
		return ((unsigned)p[at] << 8 | p[at + 1]) + 1U;
	return code >= 8 ? 256U << (code - 8) : 0;
}

static bool codec_begins(const struct matroska_track *track, const char *codec)
{
	return strncmp(track->codec, codec, strlen(codec)) == 0;
}

static uint64_t samples_ns(const struct matroska_track *track, uint64_t samples)
{
	return (uint64_t)((double)samples / track->coded_rate * NS_PER_S + 0.5);
}

static uint64_t pcm_ns(const struct matroska_track *track, uint64_t bytes)
{
	uint64_t sample_bits = (uint64_t)track->sample_bits * track->channels;

	if (sample_bits == 0 || bytes > UINT32_MAX)
		return 0;
	return samples_ns(track, bytes * 8 / sample_bits);
}

/* Frames of a block are all of one length; only the last of a recording may be shorter. */
static uint64_t codec_frame_ns(const struct matroska_track *track, const struct frames *frames)
{
	static const struct {
		const char *codec;
		unsigned samples;
	} fixed[] = {{"A_AAC", 1024}, {"A_MPEG/L2", 1152}, {"A_AC3", 1536}};

	if (codec_begins(track, "A_OPUS"))
		return opus_packet_ns(frames->first, frames->first_bytes);
	if (codec_begins(track, "A_PCM"))
		return pcm_ns(track, frames->bytes) / frames->count;
	if (codec_begins(track, "A_FLAC"))
		return samples_ns(track, flac_frame_samples(frames->first, frames->first_bytes));
	if (codec_begins(track, "A_MPEG/L3"))
		return samples_ns(track, track->coded_rate < 32000 ? 576 : 1152);
	for (size_t i = 0; i < ELEMENTSOF(fixed); i++) {
		if (codec_begins(track, fixed[i].codec))
			return samples_ns(track, fixed[i].samples);
	}
	return 0;
}

void matroska_block_span(struct source *source, const struct matroska_track *track,
		const struct matroska_block *block, struct matroska_span *ret_span)
{
	uint8_t p[PEEK_BYTES];
	size_t len = block->size < sizeof(p) ? (size_t)block->size : sizeof(p);
	struct frames frames = {.count = 1};
	struct matroska_span span = {.frames = 1};
	uint64_t discard_ns = block->discard_ns > 0 ? (uint64_t)block->discard_ns : 0;

	len = source_read(source, p, len, block->at);
	if (len >= 2) {
		unlace_frames(p, len, block->size, &frames);
		span.frame_ns = codec_frame_ns(track, &frames);
		span.frames = frames.count;
	}
	/* What the group says is less by what is not to be played. */
	if (span.frame_ns == 0 && block->duration_ns > 0) {
		span.block_ns = block->duration_ns;
	} else {
		if (span.frame_ns == 0)
			span.frame_ns = track->frame_ns;
		span.block_ns = frames.count * span.frame_ns;
		span.block_ns -= discard_ns < span.block_ns ? discard_ns : span.block_ns;
	}
	*ret_span = span;
}

bool matroska_block_hollow(struct source *source, const struct matroska_block *block)
{
	uint8_t p[HOLLOW_BYTES];
	size_t len = block->size < sizeof(p) ? (size_t)block->size : sizeof(p);

	if (source_read(source, p, len, block->at + block->size - len) < len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}
