/* Tags in and around MPEG audio: Xing and Info (LAME's tech/mp3infotag), VBRI (Fraunhofer), ID3v1
 * and ID3v2 (id3.org), APEv2, Lyrics3v2. */
#include "daemon/probe/mpeg.h"

#include <string.h>

#include "base/bytes.h"

#define ID3V1_BYTES       128
#define ID3V2_HEADER      10
#define APE_HEADER        32
#define VBRI_AT           (MPEG_HEADER_BYTES + 32)
#define VBRI_BYTES        18
#define XING_TOC_BYTES    100
#define LAME_DELAY_AT     21
#define LAME_BYTES        24
#define PLACEHOLDER_BYTES 64
#define DECODER_DELAY     529 /* samples, of every layer III decoder: added to the encoder's own */

enum { XING_FRAMES = 1, XING_BYTES = 2, XING_TOC = 4, XING_QUALITY = 8 };

/* LAME's extension of the tag: a version string, then, among others, twelve bits of delay and
 * twelve of padding. */
static void take_delays(const uint8_t *p, size_t len, struct mpeg_tag *tag)
{
	if (len < LAME_BYTES || p[0] == 0)
		return;
	uint32_t delays = (uint32_t)p[LAME_DELAY_AT] << 16 | (uint32_t)p[LAME_DELAY_AT + 1] << 8 |
			  p[LAME_DELAY_AT + 2];
	uint32_t padding = delays & 0xfff;
	if (delays == 0)
		return;
	tag->delay = (delays >> 12) + DECODER_DELAY;
	tag->padding = padding > DECODER_DELAY ? padding - DECODER_DELAY : 0;
}

static void read_xing(const uint8_t *p, size_t len, struct mpeg_tag *tag)
{
	uint32_t flags = len >= 8 ? get_be32(p + 4) : 0;
	size_t at = 8;

	if (flags & XING_FRAMES && len >= at + 4) {
		tag->frames = get_be32(p + at);
		at += 4;
	}
	if (flags & XING_BYTES && len >= at + 4) {
		tag->bytes = get_be32(p + at);
		at += 4;
	}
	tag->placeholder = (flags & (XING_FRAMES | XING_BYTES)) != 0 && tag->frames == 0 &&
			   tag->bytes == 0;
	at += (flags & XING_TOC ? (size_t)XING_TOC_BYTES : 0) + (flags & XING_QUALITY ? 4u : 0u);
	if (len > at)
		take_delays(p + at, len - at, tag);
}

static void read_vbri(const uint8_t *p, struct mpeg_tag *tag)
{
	tag->bytes = get_be32(p + 10);
	tag->frames = get_be32(p + 14);
}

/* LAME reserves the tag's frame with nothing but a header in it; a frame of real silence has at
 * least its gain set. */
static bool is_placeholder(const uint8_t *p, size_t len)
{
	for (size_t i = MPEG_HEADER_BYTES; i < PLACEHOLDER_BYTES && i < len; i++) {
		if (p[i] != 0)
			return false;
	}
	return len >= PLACEHOLDER_BYTES;
}

int mpeg_tag_read(const uint8_t *p, size_t len, const struct mpeg_frame *frame,
		struct mpeg_tag *ret_tag)
{
	size_t at = MPEG_HEADER_BYTES + frame->side_bytes;
	struct mpeg_tag tag = {.placeholder = false};

	if (frame->side_bytes == 0)
		return 1;
	if (len >= at + 8 && (memcmp(p + at, "Xing", 4) == 0 || memcmp(p + at, "Info", 4) == 0))
		read_xing(p + at, len - at, &tag);
	else if (len >= VBRI_AT + VBRI_BYTES && memcmp(p + VBRI_AT, "VBRI", 4) == 0)
		read_vbri(p + VBRI_AT, &tag);
	else if (is_placeholder(p, len))
		tag.placeholder = tag.bare = true;
	else
		return 1;
	*ret_tag = tag;
	return 0;
}

/* Four bytes of seven bits each (ID3v2.4.0 section 3.1), a header before and perhaps one after. */
static uint64_t id3v2_bytes(const uint8_t *p)
{
	uint64_t bytes = (uint64_t)(p[6] & 0x7f) << 21 | (uint64_t)(p[7] & 0x7f) << 14 |
			 (uint64_t)(p[8] & 0x7f) << 7 | (p[9] & 0x7f);

	return bytes + ID3V2_HEADER + (p[5] & 0x10 ? ID3V2_HEADER : 0);
}

/* Lyrics3v2 ends with six digits of its own length and a mark; its fields are searched for it. */
static uint64_t lyrics_bytes(const uint8_t *p, size_t len)
{
	const uint8_t *mark = memmem(p, len, "LYRICS200", 9);

	return mark ? (uint64_t)(mark - p) + 9 : 0;
}

uint64_t mpeg_tag_foreign(const uint8_t *p, size_t len)
{
	if (len >= ID3V2_HEADER && memcmp(p, "ID3", 3) == 0)
		return id3v2_bytes(p);
	if (len >= APE_HEADER && memcmp(p, "APETAGEX", 8) == 0)
		return get_le32(p + 12) + (p[23] & 0x20 ? (uint64_t)APE_HEADER : 0);
	if (len >= 11 && memcmp(p, "LYRICSBEGIN", 11) == 0)
		return lyrics_bytes(p, len);
	if (len >= ID3V1_BYTES && memcmp(p, "TAG", 3) == 0)
		return ID3V1_BYTES;
	return 0;
}
