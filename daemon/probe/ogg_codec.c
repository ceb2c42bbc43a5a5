#include "daemon/probe/ogg_codec.h"

#include <string.h>

#include "base/bytes.h"
#include "daemon/probe/flac_frame.h"

#define OPUS_HEAD_BYTES   19
#define VORBIS_HEAD_BYTES 30
#define SPEEX_HEAD_BYTES  80
#define FLAC_HEAD_BYTES   (17 + FLAC_STREAMINFO_BYTES)
#define SPEEX_FRAME_MAX   8192

static bool starts_with(const uint8_t *packet, size_t len, const char *magic, size_t magic_len)
{
	return len >= magic_len && memcmp(packet, magic, magic_len) == 0;
}

/* The rate of what was recorded is a note only. As libsndfile does: that of the decoder for it. */
static uint32_t opus_rate(uint32_t input_rate)
{
	static const uint32_t rates[] = {8000, 12000, 16000, 24000};

	if (input_rate == 0)
		return OGG_CODEC_OPUS_CLOCK;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		if (input_rate <= rates[i])
			return rates[i];
	}
	return OGG_CODEC_OPUS_CLOCK;
}

static int read_opus(const uint8_t *p, size_t len, struct ogg_codec *ret_codec)
{
	if (len < OPUS_HEAD_BYTES || p[9] == 0)
		return 1;
	*ret_codec = (struct ogg_codec){
			.kind = OGG_CODEC_OPUS,
			.channels = p[9],
			.sample_rate = opus_rate(get_le32(p + 12)),
			.clock = OGG_CODEC_OPUS_CLOCK,
			.skip = get_le16(p + 10),
			.headers = 2,
	};
	return 0;
}

/* A packet yields a quarter of the block before it and a quarter of its own. */
static int read_vorbis(const uint8_t *p, size_t len, struct ogg_codec *ret_codec)
{
	if (len < VORBIS_HEAD_BYTES || p[11] == 0 || get_le32(p + 12) == 0 || p[28] >> 4 > 13)
		return 1;
	*ret_codec = (struct ogg_codec){
			.kind = OGG_CODEC_VORBIS,
			.channels = p[11],
			.sample_rate = get_le32(p + 12),
			.clock = get_le32(p + 12),
			.packet_samples = 1u << (p[28] >> 4) >> 1,
			.headers = 3,
	};
	return 0;
}

static int read_speex(const uint8_t *p, size_t len, struct ogg_codec *ret_codec)
{
	if (len < SPEEX_HEAD_BYTES)
		return 1;
	uint32_t rate = get_le32(p + 36), frame = get_le32(p + 56), frames = get_le32(p + 64);
	if (rate == 0 || frame == 0 || frame > SPEEX_FRAME_MAX || frames > SPEEX_FRAME_MAX)
		return 1;
	*ret_codec = (struct ogg_codec){
			.kind = OGG_CODEC_SPEEX,
			.channels = get_le32(p + 48),
			.sample_rate = rate,
			.clock = rate,
			.packet_samples = frame * (frames > 0 ? frames : 1),
			.headers = 2 + (get_le32(p + 68) & 0xff),
			.exact = true,
	};
	return 0;
}

static int read_flac(const uint8_t *p, size_t len, struct ogg_codec *ret_codec)
{
	struct flac_info info;

	if (len < FLAC_HEAD_BYTES || memcmp(p + 9, "fLaC", 4) != 0 ||
			flac_frame_info(p + FLAC_HEAD_BYTES - FLAC_STREAMINFO_BYTES, &info) != 0)
		return 1;
	*ret_codec = (struct ogg_codec){
			.kind = OGG_CODEC_FLAC,
			.channels = info.channels,
			.sample_rate = info.sample_rate,
			.clock = info.sample_rate,
			.packet_samples = info.block_samples,
			.headers = get_be16(p + 7) > 0 ? get_be16(p + 7) + 1u : 0,
			.exact = info.fixed_block,
			.claimed = info.total_samples,
	};
	return 0;
}

int ogg_codec_read(const uint8_t *packet, size_t len, struct ogg_codec *ret_codec)
{
	if (starts_with(packet, len, "OpusHead", 8))
		return read_opus(packet, len, ret_codec);
	if (starts_with(packet, len, "\1vorbis", 7))
		return read_vorbis(packet, len, ret_codec);
	if (starts_with(packet, len, "Speex   ", 8))
		return read_speex(packet, len, ret_codec);
	if (starts_with(packet, len, "\177FLAC", 5))
		return read_flac(packet, len, ret_codec);
	return 1;
}

const char *ogg_codec_name(enum ogg_codec_kind kind)
{
	static const char *const names[] = {"", "opus", "vorbis", "speex", "flac"};

	return names[kind];
}

/* RFC 6716 section 3.1: the first byte has the frames' size and how many there are. */
static uint32_t opus_samples(const uint8_t *p, size_t len)
{
	static const uint16_t silk[] = {480, 960, 1920, 2880};
	unsigned config = len > 0 ? p[0] >> 3 : 0, code = len > 0 ? p[0] & 3 : 0;
	uint32_t frame = config < 12   ? silk[config & 3]
			 : config < 16 ? 480u << (config & 1)
				       : 120u << (config & 3);

	if (len == 0)
		return 0;
	if (code == 3)
		return len > 1 ? (p[1] & 0x3fu) * frame : 0;
	return code == 0 ? frame : 2 * frame;
}

uint32_t ogg_codec_samples(const struct ogg_codec *codec, const uint8_t *packet, size_t len)
{
	return codec->kind == OGG_CODEC_OPUS ? opus_samples(packet, len) : codec->packet_samples;
}
