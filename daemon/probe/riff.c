#include "daemon/probe/riff.h"

#include <string.h>

#include "base/bytes.h"
#include "daemon/probe/sweep.h"

#define RIFF_HEADER_BYTES  12
#define CHUNK_HEADER_BYTES 8
#define DS64_MIN_BYTES     24
#define ZEROS_MAX_BYTES    (UINT64_C(4) << 20)
#define SIZE_UNKNOWN       UINT32_MAX /* -1: "unknown", and in RF64 "see ds64" */

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

/* What follows the audio. */
struct tail {
	bool chunks;         /* only chunks, up to the end or up to less than a chunk header */
	uint64_t more_bytes; /* of audio, in further audio chunks */
	uint64_t next_at;    /* a whole further WAV begins there: one was appended; 0: none */
};

static bool riff_begins(struct source *source, uint64_t at)
{
	uint8_t header[RIFF_HEADER_BYTES];

	return source_read(source, header, sizeof(header), at) == sizeof(header) &&
	       (memcmp(header, "RIFF", 4) == 0 || memcmp(header, "RF64", 4) == 0) &&
	       memcmp(header + 8, "WAVE", 4) == 0;
}

/* Zeros may pad a well-formed tail when nothing else follows them, unless they may as well be the
 * silence of a header never filled in. Zeros with audio behind them are silence. */
static struct tail riff_tail(struct source *source, uint64_t at, bool zeros_may_pad)
{
	struct tail tail = {.chunks = false};

	for (unsigned n = 0; n < RIFF_CHUNKS_MAX; n++) {
		struct chunk chunk;
		if (riff_begins(source, at)) {
			tail.next_at = at;
			tail.chunks = true;
			return tail;
		}
		if (read_riff_chunk(source, at, &chunk) != 0) {
			tail.chunks = true;
			return tail;
		}
		if (!riff_chunk_plausible(source, &chunk)) {
			tail.chunks = zeros_may_pad && sweep_all_zero(source, at);
			return tail;
		}
		if (chunk_is(&chunk, "data"))
			tail.more_bytes += chunk.size;
		at = riff_chunk_end(&chunk);
	}
	return tail;
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

/* A size of 32 bits that wrapped, as of a conference that outgrew it: whole multiples of 4 GiB more
 * are there than it says, which no padding is. The end of the audio is then sought behind them. */
static uint64_t wrapped_bytes(const struct riff *riff, uint64_t claimed, uint64_t remaining)
{
	return riff->rf64 || claimed > remaining ? 0 : (remaining - claimed) >> 32 << 32;
}

/* The audio ends within the file, if the header is right. */
static void judge_end(struct source *source, uint64_t at, uint64_t remaining, struct riff *riff,
		uint64_t *ret_next_at)
{
	uint64_t claimed = riff->claimed_bytes;
	uint64_t wrapped = wrapped_bytes(riff, claimed, remaining), end = at + claimed + wrapped;
	struct tail tail;

	if ((claimed & 1) && !riff_begins(source, end))
		end++;
	tail = riff_tail(source, end, claimed > 0 && wrapped == 0);

	if (!tail.chunks) {
		riff->state = claimed == 0 ? RIFF_UNCLOSED : RIFF_EXCESS;
		tail.next_at = sweep_find_magic(
				source, at, riff->rf64 ? "RF64" : "RIFF", "WAVE", 8);
		if (tail.next_at > 0)
			riff->present_bytes = tail.next_at - at;
		*ret_next_at = tail.next_at;
		return;
	}
	riff->present_bytes = claimed + wrapped + tail.more_bytes;
	*ret_next_at = tail.next_at;
	if (riff->present_bytes > claimed)
		riff->state = RIFF_EXCESS;
	else
		riff->state = claimed == 0 ? RIFF_NO_AUDIO : RIFF_COMPLETE;
}

static void judge_data(struct source *source, const struct chunk *chunk, uint64_t ds64_bytes,
		struct riff *riff, uint64_t *ret_next_at)
{
	uint64_t remaining = source->size_bytes - chunk->at;
	uint64_t claimed = chunk->size == SIZE_UNKNOWN ? ds64_bytes : chunk->size;

	riff->audio_at = chunk->at;
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
	else
		judge_end(source, chunk->at, remaining, riff, ret_next_at);
}

/* What a compressed codec's blocks hold of the recording: the last one may be filled up. */
static void read_fact(struct source *source, const struct chunk *chunk, struct riff *riff)
{
	uint8_t fact[4];

	if (chunk->size >= sizeof(fact) &&
			source_read(source, fact, sizeof(fact), chunk->at) == sizeof(fact))
		riff->fact_frames = get_le32(fact);
}

/* Follows the chunks of the WAV that begins there, up to its audio. ret_next_at is set when a
 * further one follows. */
static void walk_riff(struct source *source, uint64_t at, struct riff *riff, uint64_t *ret_next_at)
{
	uint64_t ds64_bytes = UINT64_MAX;

	riff->state = RIFF_BROKEN;
	at += RIFF_HEADER_BYTES;
	for (unsigned n = 0; n < RIFF_CHUNKS_MAX; n++) {
		struct chunk chunk;
		if (read_riff_chunk(source, at, &chunk) != 0) {
			riff->state = RIFF_NO_AUDIO;
			return;
		}
		if (chunk_is(&chunk, "data")) {
			judge_data(source, &chunk, ds64_bytes, riff, ret_next_at);
			return;
		}
		if (chunk_is(&chunk, "fmt "))
			riff_format_read(source, chunk.at, chunk.size, riff);
		else if (chunk_is(&chunk, "fact"))
			read_fact(source, &chunk, riff);
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

/* Adds the audio of the WAVs that were appended to the first one. */
static void add_appended(struct source *source, uint64_t at, struct riff *riff)
{
	for (unsigned n = 0; at > 0 && n < RIFF_CHUNKS_MAX; n++) {
		struct riff part = {.rf64 = riff->rf64};
		uint64_t next_at = 0;
		walk_riff(source, at, &part, &next_at);
		if (part.present_bytes > 0)
			riff->state = RIFF_EXCESS;
		riff->present_bytes += part.present_bytes;
		at = next_at;
	}
}

/* How many zeros the audio ends with, up to some megabytes of them. */
static uint64_t count_zeros_at_end(struct source *source, const struct riff *riff)
{
	uint64_t end = riff->audio_at + riff->present_bytes, at = end;
	uint8_t piece[4096];

	while (at > riff->audio_at && end - at < ZEROS_MAX_BYTES) {
		size_t len = at - riff->audio_at < sizeof(piece) ? (size_t)(at - riff->audio_at)
								 : sizeof(piece);
		if (source_read(source, piece, len, at - len) < len)
			break;
		for (size_t i = len; i-- > 0;) {
			if (piece[i] != 0)
				return end - at + (len - 1 - i);
		}
		at -= len;
	}
	return end - at;
}

/* What a file system leaves after a power loss has the right size, and zeros where nothing was
 * written. Of PCM they may be silence; some codecs have none that is zeros. */
static void leave_out_zeros(struct source *source, struct riff *riff)
{
	uint64_t zeros;

	if (riff->state != RIFF_COMPLETE || !riff->never_zero || riff->block_bytes == 0)
		return;
	zeros = count_zeros_at_end(source, riff);
	if (zeros < riff->block_bytes)
		return;
	riff->present_bytes -= zeros;
	riff->state = RIFF_CUT;
}

int riff_scan(struct source *source, struct riff *ret_riff)
{
	uint8_t header[RIFF_HEADER_BYTES];
	struct riff riff = {.claimed_bytes = 0};
	uint64_t next_at = 0;

	if (source_read(source, header, sizeof(header), 0) < sizeof(header))
		return 1;
	riff.rf64 = memcmp(header, "RF64", 4) == 0;
	if ((!riff.rf64 && memcmp(header, "RIFF", 4) != 0) || memcmp(header + 8, "WAVE", 4) != 0)
		return 1;
	walk_riff(source, 0, &riff, &next_at);
	add_appended(source, next_at, &riff);
	leave_out_zeros(source, &riff);
	*ret_riff = riff;
	return 0;
}

uint64_t riff_present_frames(const struct riff *riff)
{
	if (riff->block_bytes == 0 || riff->block_frames == 0)
		return UINT64_MAX;
	/* Cannot overflow: a file has fewer than 2^63 bytes, but hostile block_frames might. */
	uint64_t blocks = riff->present_bytes / riff->block_bytes;
	if (blocks > INT64_MAX / riff->block_frames)
		return UINT64_MAX;
	return riff_fact_frames(riff, blocks * riff->block_frames, riff->block_frames);
}

uint64_t riff_fact_frames(const struct riff *riff, uint64_t frames, uint64_t block_frames)
{
	bool believed = riff->state == RIFF_COMPLETE && riff->fact_frames > 0 &&
			riff->fact_frames <= frames && frames - riff->fact_frames < block_frames;

	return believed ? riff->fact_frames : frames;
}
