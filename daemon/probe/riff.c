#include "daemon/probe/riff.h"

#include <string.h>

#include "base/bytes.h"

#define RIFF_HEADER_BYTES  12
#define CHUNK_HEADER_BYTES 8
#define FMT_MIN_BYTES      16
#define FMT_MAX_BYTES      40
#define DS64_MIN_BYTES     24
#define SIZE_UNKNOWN       UINT32_MAX /* -1: "unknown", and in RF64 "see ds64" */

enum { TAG_PCM = 1, TAG_MS_ADPCM = 2, TAG_IMA_ADPCM = 0x11, TAG_GSM610 = 0x31 };

struct chunk {
	uint8_t id[4];
	uint32_t size;
	uint64_t at; /* of its content */
};

/* 0; 1 when the file ends before a whole chunk header. */
static int read_riff_chunk(struct source *source, uint64_t at, struct chunk *ret_chunk)
{
	uint8_t header[CHUNK_HEADER_BYTES];

	if (source_read(source, header, sizeof(header), at) < sizeof(header))
		return 1;
	memcpy(ret_chunk->id, header, sizeof(ret_chunk->id));
	ret_chunk->size = get_le32(header + 4);
	ret_chunk->at = at + CHUNK_HEADER_BYTES;
	return 0;
}

static bool chunk_is(const struct chunk *chunk, const char id[static 4])
{
	return memcmp(chunk->id, id, 4) == 0;
}

/* Ids are printable ASCII; audio samples rarely are, four times in a row with a fitting size. */
static bool riff_chunk_plausible(const struct source *source, const struct chunk *chunk)
{
	for (size_t i = 0; i < sizeof(chunk->id); i++) {
		if (chunk->id[i] < ' ' || chunk->id[i] > '~')
			return false;
	}
	return chunk->size <= source->size_bytes - chunk->at;
}

/* Contents are padded to an even length. */
static uint64_t riff_chunk_end(const struct chunk *chunk)
{
	return chunk->at + chunk->size + (chunk->size & 1);
}

/* Up to 4 KiB at offset are all zero. */
static bool zeros_at(struct source *source, uint64_t offset)
{
	uint8_t piece[4096];
	size_t n = source_read(source, piece, sizeof(piece), offset);

	for (size_t i = 0; i < n; i++) {
		if (piece[i] != 0)
			return false;
	}
	return true;
}

/* Whether a well-formed tail follows the audio: chunks up to the end, or up to less than a chunk
 * header. Zeros may pad it, unless they may as well be the silence of a header never filled in. */
static bool riff_tail_is_chunks(struct source *source, uint64_t at, bool zeros_may_pad)
{
	for (unsigned n = 0; n < RIFF_CHUNKS_MAX; n++) {
		struct chunk chunk;
		if (read_riff_chunk(source, at, &chunk) != 0)
			return true;
		if (!riff_chunk_plausible(source, &chunk))
			return zeros_may_pad && zeros_at(source, at) &&
			       zeros_at(source, source->size_bytes - at > 4096
								? source->size_bytes - 4096
								: at);
		at = riff_chunk_end(&chunk);
	}
	return false;
}

static uint32_t frames_of_block(const struct riff *riff, const uint8_t *fmt, size_t len)
{
	switch (riff->format_tag) {
	case TAG_MS_ADPCM:
	case TAG_IMA_ADPCM:
	case TAG_GSM610:
		/* The extension begins with its length, then samples per block. */
		return len >= 20 && get_le16(fmt + 16) >= 2 ? get_le16(fmt + 18) : 0;
	default:
		return 1;
	}
}

static void read_fmt(struct source *source, const struct chunk *chunk, struct riff *riff)
{
	uint8_t fmt[FMT_MAX_BYTES];
	size_t len = chunk->size < sizeof(fmt) ? chunk->size : sizeof(fmt);

	len = source_read(source, fmt, len, chunk->at);
	if (len < FMT_MIN_BYTES)
		return;
	riff->format_tag = get_le16(fmt);
	riff->channels = get_le16(fmt + 2);
	riff->sample_rate = get_le32(fmt + 4);
	riff->block_bytes = get_le16(fmt + 12);
	riff->block_frames = frames_of_block(riff, fmt, len);
}

/* The data size of an RF64 file: after the 64-bit RIFF size. */
static void read_ds64(struct source *source, const struct chunk *chunk, uint64_t *ret_data_bytes)
{
	uint8_t ds64[DS64_MIN_BYTES];

	if (chunk->size >= sizeof(ds64) &&
			source_read(source, ds64, sizeof(ds64), chunk->at) == sizeof(ds64))
		*ret_data_bytes = get_le64(ds64 + 8);
}

/* Janus counts the file's own header in (audiobridge.c): its size of the audio is that of the file,
 * and the RIFF size fits the file, so it was closed. */
static bool counts_header(struct source *source, uint64_t claimed)
{
	uint8_t riff_size[4];

	return claimed == source->size_bytes &&
	       source_read(source, riff_size, sizeof(riff_size), 4) == sizeof(riff_size) &&
	       get_le32(riff_size) + UINT64_C(8) == source->size_bytes;
}

static void judge_data(struct source *source, const struct chunk *chunk, uint64_t ds64_bytes,
		struct riff *riff)
{
	uint64_t remaining = source->size_bytes - chunk->at;
	uint64_t claimed = chunk->size == SIZE_UNKNOWN ? ds64_bytes : chunk->size;
	uint64_t end = chunk->at + claimed + (claimed & 1);

	riff->claimed_bytes = claimed;
	riff->present_bytes = remaining;
	if (remaining == 0)
		riff->state = RIFF_NO_AUDIO;
	else if (claimed == UINT64_MAX)
		riff->state = RIFF_UNCLOSED;
	else if (counts_header(source, claimed))
		riff->state = RIFF_COMPLETE;
	else if (claimed > remaining)
		riff->state = claimed == RIFF_SIZE_SOX ? RIFF_UNCLOSED : RIFF_CUT;
	else if (!riff_tail_is_chunks(source, end, claimed > 0))
		riff->state = claimed == 0 ? RIFF_UNCLOSED : RIFF_EXCESS;
	else {
		riff->present_bytes = claimed;
		riff->state = claimed == 0 ? RIFF_NO_AUDIO : RIFF_COMPLETE;
	}
}

/* Follows the chunks up to the audio. */
static void walk_riff(struct source *source, struct riff *riff)
{
	uint64_t at = RIFF_HEADER_BYTES, ds64_bytes = UINT64_MAX;

	riff->state = RIFF_BROKEN;
	for (unsigned n = 0; n < RIFF_CHUNKS_MAX; n++) {
		struct chunk chunk;
		if (read_riff_chunk(source, at, &chunk) != 0) {
			riff->state = RIFF_NO_AUDIO;
			return;
		}
		if (chunk_is(&chunk, "data")) {
			judge_data(source, &chunk, ds64_bytes, riff);
			return;
		}
		if (chunk_is(&chunk, "fmt "))
			read_fmt(source, &chunk, riff);
		else if (chunk_is(&chunk, "ds64") && riff->rf64)
			read_ds64(source, &chunk, &ds64_bytes);
		at = riff_chunk_end(&chunk);
		/* A last chunk that is cut: the writer died while still at its header. */
		if (at > source->size_bytes) {
			riff->state = chunk.size <= 65536 ? RIFF_NO_AUDIO : RIFF_BROKEN;
			return;
		}
	}
}

int riff_scan(struct source *source, struct riff *ret_riff)
{
	uint8_t header[RIFF_HEADER_BYTES];
	struct riff riff = {.claimed_bytes = 0};

	if (source_read(source, header, sizeof(header), 0) < sizeof(header))
		return 1;
	riff.rf64 = memcmp(header, "RF64", 4) == 0;
	if ((!riff.rf64 && memcmp(header, "RIFF", 4) != 0) || memcmp(header + 8, "WAVE", 4) != 0)
		return 1;
	walk_riff(source, &riff);
	*ret_riff = riff;
	return 0;
}

uint64_t riff_present_frames(const struct riff *riff)
{
	if (riff->block_bytes == 0 || riff->block_frames == 0)
		return UINT64_MAX;
	/* Cannot overflow: a file has fewer than 2^63 bytes, but hostile block_frames might. */
	uint64_t blocks = riff->present_bytes / riff->block_bytes;
	return blocks > INT64_MAX / riff->block_frames ? UINT64_MAX : blocks * riff->block_frames;
}
