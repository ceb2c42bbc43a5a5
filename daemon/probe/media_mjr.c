/* Janus's packet dumps: "MJR00002", a length and a description in JSON, then packets, each after
 * "MEET", be32 milliseconds since the first and a be16 length. There is no end mark: one that ends
 * where a packet does counts as whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/media.h"

#define MAGIC             "MJR00002"
#define MAGIC_BYTES       8
#define PACKET            "MEET"
#define PACKET_HEAD_BYTES 10
#define PACKET_MAX_BYTES  (PACKET_HEAD_BYTES + 65535)
#define DESCRIPTION_MAX   4096
#define CODEC_KEY         "\"c\": \""
#define MS_PER_S          1000

/* What the description says the codec is: letters and digits only, as Janus names them. */
static void read_codec(const char *text, size_t len, struct media *media)
{
	static const struct {
		const char *name;
		uint32_t clock_rate; /* of its RTP timestamps (RFC 3551, RFC 7587) */
	} codecs[] = {{"opus", 48000}, {"multiopus", 48000}, {"pcmu", 8000}, {"pcma", 8000},
			{"g722", 16000}};
	const char *at = memmem(text, len, CODEC_KEY, strlen(CODEC_KEY));

	snprintf(media->format, sizeof(media->format), "mjr");
	for (size_t i = 0; at && i < ELEMENTSOF(codecs); i++) {
		const char *value = at + strlen(CODEC_KEY);
		size_t n = strlen(codecs[i].name), left = len - (size_t)(value - text);
		if (left > n && memcmp(value, codecs[i].name, n) == 0 && value[n] == '"') {
			snprintf(media->format, sizeof(media->format), "mjr/%s", codecs[i].name);
			media->sample_rate = codecs[i].clock_rate;
		}
	}
}

/* Where the packets begin; 0 when the description is not whole. */
static uint64_t read_description(struct source *source, struct media *media)
{
	uint8_t length[2];
	char text[DESCRIPTION_MAX];

	if (source_read(source, length, sizeof(length), MAGIC_BYTES) < sizeof(length))
		return 0;
	size_t len = get_be16(length);
	size_t wanted = len < sizeof(text) ? len : sizeof(text);
	uint64_t at = MAGIC_BYTES + sizeof(length);
	if (source_read(source, text, wanted, at) < wanted || at + len > source->size_bytes)
		return 0;
	read_codec(text, wanted, media);
	return at + len;
}

struct last_packet {
	uint64_t at;
	uint32_t time_ms;
	bool found, whole; /* whole: it ends where the file does */
};

/* The last packet that ends with the file, or else the last one that begins in it. Media may
 * contain the mark by chance; one that also ends exactly at the end is no chance. */
static void find_last(const uint8_t *buf, size_t len, struct last_packet *ret_last)
{
	*ret_last = (struct last_packet){.found = false};
	for (size_t at = len; at-- > 0;) {
		if (len - at < PACKET_HEAD_BYTES || memcmp(buf + at, PACKET, 4) != 0)
			continue;
		bool whole = PACKET_HEAD_BYTES + (size_t)get_be16(buf + at + 8) == len - at;
		if (whole || !ret_last->found)
			*ret_last = (struct last_packet){.at = at,
					.time_ms = get_be32(buf + at + 4),
					.found = true,
					.whole = whole};
		if (whole)
			return;
	}
}

static void judge_packets(struct source *source, uint64_t first, struct media *media)
{
	_cleanup_free_ uint8_t *buf = NULL;
	struct last_packet last;
	uint64_t len = source->size_bytes - first;

	media->state = MEDIA_EMPTY;
	if (len == 0)
		return;
	if (len > PACKET_MAX_BYTES)
		len = PACKET_MAX_BYTES;
	buf = malloc((size_t)len);
	media->state = MEDIA_BROKEN;
	if (!buf || source_read(source, buf, (size_t)len, source->size_bytes - len) < len)
		return;
	find_last(buf, (size_t)len, &last);
	media->state = last.whole ? MEDIA_WHOLE : MEDIA_CUT;
	media->present_bytes = source->size_bytes - first - (last.whole ? 0 : len - last.at);
	if (last.found && media->sample_rate > 0)
		media->frames = (uint64_t)last.time_ms * media->sample_rate / MS_PER_S;
	if (!last.found) {
		/* Less than a packet's head, or nothing that is one. */
		media->state = len < PACKET_HEAD_BYTES ? MEDIA_CUT : MEDIA_BROKEN;
		media->present_bytes = 0;
	}
}

int media_mjr_scan(struct source *source, struct media *ret_media)
{
	struct media media = {.frames = PROBE_FRAMES_UNKNOWN};
	uint8_t magic[MAGIC_BYTES];

	if (source_read(source, magic, sizeof(magic), 0) < sizeof(magic) ||
			memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return 1;
	snprintf(media.format, sizeof(media.format), "mjr");
	uint64_t first = read_description(source, &media);
	if (first > 0)
		judge_packets(source, first, &media);
	else
		media.state = MEDIA_EMPTY;
	*ret_media = media;
	return 0;
}
