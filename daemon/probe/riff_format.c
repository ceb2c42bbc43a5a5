/* What a WAV's fmt chunk says of its codec: how many frames a block of bytes holds, and the codec's
 * name where libsndfile does not know it. RFC 2361 lists the tags; how each codec fills its blocks
 * is in Microsoft's "New Multimedia Data Types" (1994). */
#include "daemon/probe/riff.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define FMT_MIN_BYTES  16
#define FMT_MAX_BYTES  40
#define SUB_FORMAT_AT  24 /* of WAVE_FORMAT_EXTENSIBLE: a GUID that begins with a tag */
#define TAG_EXTENSIBLE 0xfffe
#define GSM_BLOCK      65 /* two frames of GSM 06.10 */
#define GSM_SAMPLES    320

enum packing {
	PACKING_SAMPLES, /* whole samples, one after the other */
	PACKING_BITS,    /* so many bits for each sample */
	PACKING_MS_ADPCM,
	PACKING_IMA_ADPCM,
	PACKING_GSM,
	PACKING_MPEG, /* frames of their own: mpeg.h counts them */
};

static const struct codec {
	uint16_t tag;
	enum packing packing;
	const char *name;
} codecs[] = {
		{0x01, PACKING_SAMPLES, "pcm"},
		{0x02, PACKING_MS_ADPCM, "ms_adpcm"},
		{0x03, PACKING_SAMPLES, "float"},
		{0x06, PACKING_SAMPLES, "alaw"},
		{0x07, PACKING_SAMPLES, "ulaw"},
		{0x10, PACKING_BITS, "oki_adpcm"},
		{0x11, PACKING_IMA_ADPCM, "ima_adpcm"},
		{0x17, PACKING_BITS, "dialogic_adpcm"},
		{0x20, PACKING_BITS, "yamaha_adpcm"},
		{0x31, PACKING_GSM, "gsm"},
		{0x40, PACKING_BITS, "g721"},
		{0x45, PACKING_BITS, "g726"},
		{0x50, PACKING_MPEG, "mpeg"},
		{0x55, PACKING_MPEG, "mp3"},
		{0x64, PACKING_BITS, "g726"},
		{0x65, PACKING_BITS, "g722"},
		{0x28f, PACKING_BITS, "g722"},
};

static const struct codec *find_codec(uint16_t tag)
{
	for (size_t i = 0; i < ELEMENTSOF(codecs); i++) {
		if (codecs[i].tag == tag)
			return &codecs[i];
	}
	return NULL;
}

/* The header's block is believed where it holds the bits that it says a sample has. */
static void set_samples(struct riff *riff, uint32_t bits)
{
	uint32_t least = riff->channels * ((bits + 7) / 8);

	riff->block_frames = 1;
	if (riff->channels == 0 || riff->block_bytes % riff->channels != 0 ||
			riff->block_bytes < least)
		riff->block_bytes = least <= UINT16_MAX ? (uint16_t)least : 0;
}

/* The fewest whole bytes that hold whole frames. */
static void set_bits(struct riff *riff, uint32_t bits)
{
	uint32_t frame_bits = bits * riff->channels, frames = 8;

	if (bits == 0 || bits > 8 || frame_bits == 0 || riff->channels > 256)
		return;
	while (frames > 1 && frame_bits % 2 == 0) {
		frames /= 2;
		frame_bits /= 2;
	}
	riff->block_bytes = (uint16_t)frame_bits;
	riff->block_frames = frames;
}

/* A block begins with a header of some bytes for each channel, which hold some samples; four bits
 * for each further one. */
static void set_adpcm(struct riff *riff, uint32_t header_bytes, uint32_t header_samples)
{
	uint32_t headers = header_bytes * riff->channels;

	if (riff->channels > 0 && riff->block_bytes > headers)
		riff->block_frames =
				(riff->block_bytes - headers) * 2 / riff->channels + header_samples;
}

static void set_block(struct riff *riff, const struct codec *codec, uint32_t bits)
{
	switch (codec->packing) {
	case PACKING_SAMPLES:
		set_samples(riff, bits);
		break;
	case PACKING_BITS:
		set_bits(riff, bits);
		break;
	case PACKING_MS_ADPCM:
		set_adpcm(riff, 7, 2);
		riff->never_zero = true; /* a block's step is 16 at least */
		break;
	case PACKING_IMA_ADPCM:
		set_adpcm(riff, 4, 1);
		break;
	case PACKING_GSM:
		riff->block_bytes = GSM_BLOCK;
		riff->block_frames = GSM_SAMPLES;
		riff->never_zero = true; /* silence has coefficients */
		break;
	case PACKING_MPEG:
		riff->mpeg = true;
		break;
	}
}

/* The extension begins with its length, then samples per block: believed where no more than fit. */
static void take_block_samples(struct riff *riff, const uint8_t *fmt, size_t len)
{
	uint32_t said = len >= 20 && get_le16(fmt + 16) >= 2 ? get_le16(fmt + 18) : 0;

	if (said > 0 && said < riff->block_frames)
		riff->block_frames = said;
}

void riff_format_read(struct source *source, uint64_t at, uint32_t size, struct riff *riff)
{
	uint8_t fmt[FMT_MAX_BYTES];
	size_t len = size < sizeof(fmt) ? size : sizeof(fmt);

	len = source_read(source, fmt, len, at);
	if (len < FMT_MIN_BYTES)
		return;
	riff->format_tag = get_le16(fmt);
	if (riff->format_tag == TAG_EXTENSIBLE && len >= SUB_FORMAT_AT + 2)
		riff->format_tag = get_le16(fmt + SUB_FORMAT_AT);
	riff->channels = get_le16(fmt + 2);
	riff->sample_rate = get_le32(fmt + 4);
	riff->block_bytes = get_le16(fmt + 12);
	riff->sample_bits = get_le16(fmt + 14);
	riff->block_frames = 0;
	riff->mpeg = riff->never_zero = false;
	const struct codec *codec = find_codec(riff->format_tag);
	if (!codec)
		return;
	set_block(riff, codec, riff->sample_bits);
	if (codec->packing == PACKING_MS_ADPCM || codec->packing == PACKING_IMA_ADPCM)
		take_block_samples(riff, fmt, len);
}

void riff_format_name(const struct riff *riff, char ret_name[static PROBE_FORMAT_BYTES])
{
	const char *container = riff->rf64 ? "rf64" : "wav";
	const struct codec *codec = find_codec(riff->format_tag);

	if (!codec)
		snprintf(ret_name, PROBE_FORMAT_BYTES, "%s", container);
	else if (codec->packing != PACKING_SAMPLES || strstr(codec->name, "law"))
		snprintf(ret_name, PROBE_FORMAT_BYTES, "%s/%s", container, codec->name);
	else
		snprintf(ret_name, PROBE_FORMAT_BYTES, "%s/pcm_%c%u%s", container,
				strcmp(codec->name, "float") == 0 ? 'f'
				: riff->sample_bits == 8          ? 'u'
								  : 's',
				(unsigned)riff->sample_bits, riff->sample_bits == 8 ? "" : "le");
}
