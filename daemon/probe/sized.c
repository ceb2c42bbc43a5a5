#include "daemon/probe/sized.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/sweep.h"

#define CHUNK_HEADER_MAX 24
#define AU_HEADER_BYTES  24
#define AU_SIZE_UNKNOWN  UINT32_MAX
#define CAF_DESC_BYTES   32
#define CAF_RATE_MAX     1e9
#define AU_APPENDED_MAX  64 /* each search for a further one may read far */
#define AIFF_COMM_BYTES  18
#define AIFC_COMM_BYTES  22

enum { CAF_IS_FLOAT = 1, CAF_IS_LITTLE_ENDIAN = 2 };

/* How a container's chunks are written. */
struct layout {
	const char *container;
	const char *magic, *type; /* at the file's start, and what follows magic and size */
	const char *audio;        /* the first four bytes of the audio chunk's id */
	size_t type_at;
	uint64_t first_at;
	size_t id_bytes, size_bytes;
	bool big_endian, size_counts_header;
	unsigned align;
	uint64_t preamble_bytes; /* in the audio chunk, before the audio */
};

static const struct layout layouts[] = {
		{.container = "w64",
				.magic = "riff",
				.type = "wave",
				.audio = "data",
				.type_at = 24,
				.first_at = 40,
				.id_bytes = 16,
				.size_bytes = 8,
				.size_counts_header = true,
				.align = 8},
		{.container = "aiff",
				.magic = "FORM",
				.type = "AIFF",
				.audio = "SSND",
				.type_at = 8,
				.first_at = 12,
				.id_bytes = 4,
				.size_bytes = 4,
				.big_endian = true,
				.align = 2,
				.preamble_bytes = 8},
		{.container = "aiff",
				.magic = "FORM",
				.type = "AIFC",
				.audio = "SSND",
				.type_at = 8,
				.first_at = 12,
				.id_bytes = 4,
				.size_bytes = 4,
				.big_endian = true,
				.align = 2,
				.preamble_bytes = 8},
		/* The version stands where others have a type. */
		{.container = "caf",
				.magic = "caff",
				.type = "\0\1\0\0",
				.audio = "data",
				.type_at = 4,
				.first_at = 8,
				.id_bytes = 4,
				.size_bytes = 8,
				.big_endian = true,
				.align = 1,
				.preamble_bytes = 4},
};

struct chunk {
	uint8_t id[4];
	uint64_t at;   /* of its content */
	uint64_t size; /* of its content */
};

static uint64_t read_size(const struct layout *layout, const uint8_t *p)
{
	if (layout->size_bytes == 4)
		return get_be32(p);
	return layout->big_endian ? get_be64(p) : get_le64(p);
}

/* 0; 1 when the file ends before a whole chunk header. */
static int read_sized_chunk(struct source *source, const struct layout *layout, uint64_t at,
		struct chunk *ret_chunk)
{
	size_t len = layout->id_bytes + layout->size_bytes;
	uint8_t header[CHUNK_HEADER_MAX];

	if (source_read(source, header, len, at) < len)
		return 1;
	memcpy(ret_chunk->id, header, sizeof(ret_chunk->id));
	ret_chunk->at = at + len;
	ret_chunk->size = read_size(layout, header + layout->id_bytes);
	if (layout->size_counts_header)
		ret_chunk->size = ret_chunk->size < len ? 0 : ret_chunk->size - len;
	return 0;
}

/* As for WAV: ids begin with printable ASCII, and audio rarely does, with a fitting size. */
static bool sized_chunk_plausible(const struct source *source, const struct chunk *chunk)
{
	for (size_t i = 0; i < sizeof(chunk->id); i++) {
		if (chunk->id[i] < ' ' || chunk->id[i] > '~')
			return false;
	}
	return chunk->size <= source->size_bytes - chunk->at;
}

/* Where the next chunk begins; the chunk must end within the file. Its header's size is a multiple
 * of the alignment, so that the content's own is what has to be rounded up. */
static uint64_t sized_chunk_end(const struct layout *layout, const struct chunk *chunk)
{
	return chunk->at + (chunk->size + layout->align - 1) / layout->align * layout->align;
}

static bool starts_as(struct source *source, const struct layout *layout, uint64_t at)
{
	uint8_t magic[4], type[4];

	return source_read(source, magic, sizeof(magic), at) == sizeof(magic) &&
	       memcmp(magic, layout->magic, sizeof(magic)) == 0 &&
	       source_read(source, type, sizeof(type), at + layout->type_at) == sizeof(type) &&
	       memcmp(type, layout->type, sizeof(type)) == 0;
}

/* Whether only chunks follow, up to the end or up to less than a chunk header; or up to a whole
 * further file that was appended, which ret_next_at is then set to. */
static bool sized_tail_is_chunks(struct source *source, const struct layout *layout, uint64_t at,
		uint64_t *ret_next_at)
{
	for (unsigned n = 0; n < RIFF_CHUNKS_MAX; n++) {
		struct chunk chunk;
		if (starts_as(source, layout, at)) {
			*ret_next_at = at;
			return true;
		}
		if (read_sized_chunk(source, layout, at, &chunk) != 0)
			return true;
		if (!sized_chunk_plausible(source, &chunk))
			return false;
		at = sized_chunk_end(layout, &chunk);
	}
	return false;
}

/* Sizes that writers put there until they know: ffmpeg -1 or the largest, sox what it takes for the
 * largest, libsndfile what an empty file has. */
static bool never_filled_in(const struct layout *layout, const struct chunk *chunk)
{
	if (layout->size_bytes == 8 && chunk->size >= UINT64_MAX / 4)
		return true;
	return chunk->size <= layout->preamble_bytes || chunk->size == UINT32_MAX ||
	       chunk->size == RIFF_SIZE_SOX_AIFF + layout->preamble_bytes;
}

/* More follows than the header says: further audio, or a file that was appended to one that was
 * cut. */
static void judge_excess(struct source *source, const struct layout *layout,
		const struct chunk *chunk, bool unclosed, struct sized *sized,
		uint64_t *ret_next_at)
{
	uint64_t audio_at = chunk->at + layout->preamble_bytes;
	uint64_t next_at = sweep_find_magic(
			source, audio_at, layout->magic, layout->type, layout->type_at);

	sized->state = unclosed ? RIFF_UNCLOSED : RIFF_EXCESS;
	if (next_at == 0)
		return;
	sized->present_bytes = next_at - audio_at;
	*ret_next_at = next_at;
}

static void judge_audio(struct source *source, const struct layout *layout,
		const struct chunk *chunk, struct sized *sized, uint64_t *ret_next_at)
{
	uint64_t remaining = source->size_bytes - chunk->at;
	bool unclosed = never_filled_in(layout, chunk);

	sized->claimed_bytes = chunk->size > layout->preamble_bytes
					       ? chunk->size - layout->preamble_bytes
					       : 0;
	sized->present_bytes =
			remaining > layout->preamble_bytes ? remaining - layout->preamble_bytes : 0;
	if (sized->present_bytes == 0)
		sized->state = RIFF_NO_AUDIO;
	else if (chunk->size > remaining)
		sized->state = unclosed ? RIFF_UNCLOSED : RIFF_CUT;
	else if (!sized_tail_is_chunks(source, layout, sized_chunk_end(layout, chunk), ret_next_at))
		judge_excess(source, layout, chunk, unclosed, sized, ret_next_at);
	else {
		sized->present_bytes = sized->claimed_bytes;
		sized->state = sized->claimed_bytes == 0 ? RIFF_NO_AUDIO : RIFF_COMPLETE;
	}
}

/* As format.h names it. */
static void name_pcm(uint32_t flags, uint32_t bits, struct sized *sized)
{
	if (bits >= 8 && bits <= 64 && bits % 8 == 0)
		snprintf(sized->codec, sizeof(sized->codec), "/pcm_%c%u%s",
				flags & CAF_IS_FLOAT ? 'f' : 's', (unsigned)bits,
				bits == 8                      ? ""
				: flags & CAF_IS_LITTLE_ENDIAN ? "le"
							       : "be");
}

/* CAF's description: rate as a double, id, flags, bytes and frames of a packet, channels, bits. */
static void read_desc(struct source *source, const struct chunk *chunk, struct sized *sized)
{
	uint8_t desc[CAF_DESC_BYTES];
	uint64_t bits;
	double rate;

	if (chunk->size < sizeof(desc) ||
			source_read(source, desc, sizeof(desc), chunk->at) < sizeof(desc))
		return;
	bits = get_be64(desc);
	memcpy(&rate, &bits, sizeof(rate));
	if (rate >= 1 && rate < CAF_RATE_MAX) /* not for a NaN either */
		sized->sample_rate = (uint32_t)rate;
	sized->channels = get_be32(desc + 24);
	if (memcmp(desc + 8, "lpcm", 4) != 0 || get_be32(desc + 20) != 1)
		return;
	sized->block_bytes = get_be32(desc + 16);
	name_pcm(get_be32(desc + 12), get_be32(desc + 28), sized);
}

/* AIFF's rate: an exponent and a mantissa of 64 bits, of which whole numbers are read. */
static uint32_t aiff_rate(const uint8_t p[static 10])
{
	unsigned exponent = (unsigned)(get_be16(p) & 0x7fff) - 16383;

	return exponent < 31 ? (uint32_t)(get_be64(p + 2) >> (63 - exponent)) : 0;
}

/* AIFF's description: channels, frames, bits, rate; in AIFF-C a codec. */
static void read_comm(struct source *source, const struct chunk *chunk, struct sized *sized)
{
	uint8_t comm[AIFC_COMM_BYTES] = {0};
	size_t len = chunk->size < sizeof(comm) ? (size_t)chunk->size : sizeof(comm);
	bool little, pcm;

	if (len < AIFF_COMM_BYTES || source_read(source, comm, len, chunk->at) < len)
		return;
	uint32_t bits = get_be16(comm + 6);
	sized->channels = get_be16(comm);
	sized->sample_rate = aiff_rate(comm + 8);
	little = memcmp(comm + 18, "sowt", 4) == 0;
	pcm = len < sizeof(comm) || little || memcmp(comm + 18, "NONE", 4) == 0 ||
	      memcmp(comm + 18, "twos", 4) == 0;
	if (!pcm || bits == 0 || bits > 32)
		return;
	bits = (bits + 7) / 8 * 8;
	sized->block_bytes = bits / 8 * sized->channels;
	name_pcm(little ? CAF_IS_LITTLE_ENDIAN : 0, bits, sized);
}

/* Follows the chunks of the file that begins there, up to its audio. ret_next_at is set when a
 * further one follows. */
static void walk_sized(struct source *source, const struct layout *layout, uint64_t at,
		struct sized *sized, uint64_t *ret_next_at)
{
	at += layout->first_at;

	sized->state = RIFF_BROKEN;
	for (unsigned n = 0; n < RIFF_CHUNKS_MAX; n++) {
		struct chunk chunk;
		if (read_sized_chunk(source, layout, at, &chunk) != 0) {
			sized->state = RIFF_NO_AUDIO;
			return;
		}
		if (memcmp(chunk.id, layout->audio, sizeof(chunk.id)) == 0) {
			judge_audio(source, layout, &chunk, sized, ret_next_at);
			return;
		}
		if (memcmp(chunk.id, "desc", sizeof(chunk.id)) == 0)
			read_desc(source, &chunk, sized);
		else if (memcmp(chunk.id, "COMM", sizeof(chunk.id)) == 0)
			read_comm(source, &chunk, sized);
		if (chunk.size > source->size_bytes - chunk.at) {
			/* A last chunk that is cut: the writer died while still at its header. */
			sized->state = chunk.size <= 65536 ? RIFF_NO_AUDIO : RIFF_BROKEN;
			return;
		}
		at = sized_chunk_end(layout, &chunk);
	}
}

/* The file, and the audio of those that were appended to it. */
static void walk_appended(struct source *source, const struct layout *layout, struct sized *sized)
{
	uint64_t at = 0;

	walk_sized(source, layout, 0, sized, &at);
	for (unsigned n = 0; at > 0 && n < RIFF_CHUNKS_MAX; n++) {
		struct sized part = {.container = sized->container};
		uint64_t next_at = 0;
		walk_sized(source, layout, at, &part, &next_at);
		if (part.present_bytes > 0)
			sized->state = RIFF_EXCESS;
		sized->present_bytes += part.present_bytes;
		at = next_at;
	}
}

/* AU has no chunks: magic, where the audio begins, its size. */
static void judge_au(struct source *source, uint64_t start,
		const uint8_t header[static AU_HEADER_BYTES], struct sized *sized)
{
	uint64_t at = start + get_be32(header + 4), claimed = get_be32(header + 8);

	sized->claimed_bytes = claimed;
	sized->present_bytes = source->size_bytes > at ? source->size_bytes - at : 0;
	if (at - start < AU_HEADER_BYTES)
		sized->state = RIFF_BROKEN;
	else if (sized->present_bytes == 0)
		sized->state = RIFF_NO_AUDIO;
	else if (claimed == 0 || claimed == AU_SIZE_UNKNOWN)
		sized->state = RIFF_UNCLOSED;
	else if (claimed > sized->present_bytes)
		sized->state = RIFF_CUT;
	else
		sized->state = claimed < sized->present_bytes ? RIFF_EXCESS : RIFF_COMPLETE;
}

/* Reads the header of an AU file that begins there. */
static bool read_au(struct source *source, uint64_t at, uint8_t ret_header[static AU_HEADER_BYTES])
{
	return source_read(source, ret_header, AU_HEADER_BYTES, at) == AU_HEADER_BYTES &&
	       memcmp(ret_header, ".snd", 4) == 0;
}

/* The file, and the audio of those that were appended to it, which the first one takes for its
 * own together with their headers. */
static void walk_au(
		struct source *source, uint8_t header[static AU_HEADER_BYTES], struct sized *sized)
{
	uint64_t start = 0;

	judge_au(source, start, header, sized);
	struct sized part = *sized;
	for (unsigned n = 0; part.state == RIFF_EXCESS && n < AU_APPENDED_MAX; n++) {
		start = sweep_find_magic(source, start + AU_HEADER_BYTES, ".snd", ".snd", 0);
		if (start == 0 || !read_au(source, start, header))
			return;
		judge_au(source, start, header, &part);
		sized->present_bytes -= source->size_bytes - start - part.present_bytes;
	}
}

int sized_scan(struct source *source, struct sized *ret_sized)
{
	uint8_t au[AU_HEADER_BYTES];
	struct sized sized = {.container = "au"};

	if (read_au(source, 0, au)) {
		walk_au(source, au, &sized);
		*ret_sized = sized;
		return 0;
	}
	for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
		if (!starts_as(source, &layouts[i], 0))
			continue;
		sized.container = layouts[i].container;
		walk_appended(source, &layouts[i], &sized);
		*ret_sized = sized;
		return 0;
	}
	return 1;
}
