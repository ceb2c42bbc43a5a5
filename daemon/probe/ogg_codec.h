/* The codecs that an Ogg stream may have, by its first packet, and what their packets tell. Opus:
 * RFC 7845 and RFC 6716; Vorbis I (Xiph.Org) appendix A; Speex (its manual, "Ogg file format");
 * FLAC in Ogg: RFC 9639 section 10.1. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OGG_CODEC_OPUS_CLOCK 48000 /* of Opus granule positions, whatever the audio's rate */

enum ogg_codec_kind {
	OGG_CODEC_NONE,
	OGG_CODEC_OPUS,
	OGG_CODEC_VORBIS,
	OGG_CODEC_SPEEX,
	OGG_CODEC_FLAC
};

struct ogg_codec {
	enum ogg_codec_kind kind;
	uint32_t channels, sample_rate;
	uint32_t clock;          /* of granule positions, per second */
	uint32_t skip;           /* of the clock: to leave out at the beginning */
	uint32_t packet_samples; /* of the clock, at most, in a packet; 0: the packet tells */
	uint32_t headers;        /* packets before the audio; 0: not known */
	bool exact;              /* every packet but the last has as many */
	uint64_t claimed;        /* samples, by a header; 0: not said */
};

/* 0; 1 when the codec is none of these, or its header is malformed. */
int ogg_codec_read(const uint8_t *packet, size_t len, struct ogg_codec *ret_codec);

/* "opus", "vorbis", "speex", "flac". Static storage. */
const char *ogg_codec_name(enum ogg_codec_kind kind);

/* Of the clock, at most, in this packet of audio. */
uint32_t ogg_codec_samples(const struct ogg_codec *codec, const uint8_t *packet, size_t len);
