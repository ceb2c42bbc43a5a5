#include "daemon/probe/mp3.h"

#include <string.h>

#include "base/bytes.h"

/* The first bytes of a frame: header, side information, Xing tag up to its byte count. */
#define FRAME_PREFIX_BYTES 64
#define ID3_HEADER_BYTES   10

enum { XING_FRAMES = 1, XING_BYTES = 2 };

/* The length of an ID3v2 tag at the start (id3.org, ID3v2.4.0 section 3.1), or 0. */
static uint64_t id3_bytes(struct source *source)
{
	uint8_t h[ID3_HEADER_BYTES];

	if (source_read(source, h, sizeof(h), 0) < sizeof(h) || memcmp(h, "ID3", 3) != 0)
		return 0;
	uint64_t bytes = (uint64_t)(h[6] & 0x7f) << 21 | (uint64_t)(h[7] & 0x7f) << 14 |
			 (uint64_t)(h[8] & 0x7f) << 7 | (h[9] & 0x7f);
	return bytes + ID3_HEADER_BYTES + (h[5] & 0x10 ? ID3_HEADER_BYTES : 0);
}

/* Sync, a version and layer III (ISO/IEC 11172-3 section 2.4.1.3). */
static bool is_frame(const uint8_t *p)
{
	return p[0] == 0xff && (p[1] & 0xe0) == 0xe0 && (p[1] & 0x18) != 0x08 &&
	       (p[1] & 0x06) == 0x02;
}

/* Side information: 32 or 17 bytes in MPEG 1, 17 or 9 in MPEG 2 and 2.5 (stereo or mono). */
static size_t side_bytes(const uint8_t *p)
{
	bool mpeg1 = (p[1] & 0x18) == 0x18, mono = (p[3] & 0xc0) == 0xc0;

	if (mpeg1)
		return mono ? 17 : 32;
	return mono ? 9 : 17;
}

static void read_xing(const uint8_t *tag, struct mp3_head *head)
{
	uint32_t flags = get_be32(tag + 4);
	uint32_t frames = flags & XING_FRAMES ? get_be32(tag + 8) : 0;
	uint32_t bytes = flags & XING_BYTES ? get_be32(tag + (flags & XING_FRAMES ? 12 : 8)) : 0;

	head->unclosed = (flags & (XING_FRAMES | XING_BYTES)) != 0 && frames == 0 && bytes == 0;
	head->claimed_bytes = bytes;
}

/* LAME reserves the tag's frame with nothing but a header in it; a frame of real silence has at
 * least its gain set. */
static bool is_placeholder(const uint8_t *p)
{
	for (size_t i = 4; i < FRAME_PREFIX_BYTES; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

int mp3_scan(struct source *source, struct mp3_head *ret_head)
{
	uint8_t p[FRAME_PREFIX_BYTES];
	uint64_t at = id3_bytes(source);
	struct mp3_head head = {.claimed_bytes = 0};

	if (source_read(source, p, sizeof(p), at) < sizeof(p) || !is_frame(p))
		return 1;
	const uint8_t *tag = p + 4 + side_bytes(p);
	if (memcmp(tag, "Xing", 4) == 0 || memcmp(tag, "Info", 4) == 0)
		read_xing(tag, &head);
	else
		head.unclosed = is_placeholder(p);
	head.present_bytes = source->size_bytes - at;
	*ret_head = head;
	return 0;
}
