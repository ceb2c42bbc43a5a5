#include "daemon/probe/ogg.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

/* A page: 27 bytes, up to 255 segment lengths, up to 255 segments of 255 bytes. */
#define PAGE_HEADER_BYTES 27
#define PAGE_MAX_BYTES    (PAGE_HEADER_BYTES + 255 + 255 * 255)
#define OPUS_HEAD_AT      28 /* after a page head with one segment */
#define OPUS_SKIP_AT      (OPUS_HEAD_AT + 10)

enum { AT_VERSION = 4, AT_FLAGS = 5, AT_GRANULE = 6, AT_SEGMENTS = 26 };
enum { FLAG_END_OF_STREAM = 4 };

/* Where the page at p ends, counted from p; more than len when it is cut. */
static size_t page_bytes(const uint8_t *p, size_t len)
{
	if (len < PAGE_HEADER_BYTES || len < PAGE_HEADER_BYTES + (size_t)p[AT_SEGMENTS])
		return len + 1;
	size_t bytes = PAGE_HEADER_BYTES + (size_t)p[AT_SEGMENTS];
	for (size_t i = 0; i < p[AT_SEGMENTS]; i++)
		bytes += p[PAGE_HEADER_BYTES + i];
	return bytes;
}

static void read_page(const uint8_t *p, size_t len, struct ogg_tail *ret_tail)
{
	struct ogg_tail tail = {.whole = page_bytes(p, len) == len};

	if (len >= PAGE_HEADER_BYTES) {
		tail.end_of_stream = p[AT_FLAGS] & FLAG_END_OF_STREAM;
		tail.granule = (int64_t)get_le64(p + AT_GRANULE);
	}
	*ret_tail = tail;
}

/* Whether what begins there is a page's head. */
static bool is_page(const uint8_t *buf, size_t len, size_t at)
{
	return len - at > AT_FLAGS && memcmp(buf + at, "OggS", 4) == 0 && buf[at + AT_VERSION] == 0;
}

/* The last page that ends where another one begins, which is cut. */
static void find_whole_page(const uint8_t *buf, size_t len, struct ogg_tail *tail)
{
	size_t cut = len;

	for (size_t at = len; at-- > 0;) {
		if (!is_page(buf, len, at))
			continue;
		if (cut < len && page_bytes(buf + at, cut - at) == cut - at) {
			tail->whole_granule = (int64_t)get_le64(buf + at + AT_GRANULE);
			tail->whole_bytes = cut;
			return;
		}
		cut = at;
	}
}

/* The last page that ends with the file, or else the last one that begins in it. Audio may contain
 * the capture pattern by chance; a page that also ends exactly at the end is no chance. */
static int find_last_page(const uint8_t *buf, size_t len, struct ogg_tail *ret_tail)
{
	bool found = false;

	for (size_t at = len; at-- > 0;) {
		if (!is_page(buf, len, at))
			continue;
		bool whole = page_bytes(buf + at, len - at) == len - at;
		if (whole || !found)
			read_page(buf + at, len - at, ret_tail);
		if (whole)
			return 0;
		found = true;
	}
	return found ? 0 : 2;
}

int ogg_scan(struct source *source, struct ogg_tail *ret_tail)
{
	_cleanup_free_ uint8_t *buf = NULL;
	uint8_t start[OPUS_SKIP_AT + 2];
	size_t n = source_read(source, start, sizeof(start), 0);
	size_t len = 2 * PAGE_MAX_BYTES; /* a cut one, and the whole one before it */
	int r;

	if (n < 4 || memcmp(start, "OggS", 4) != 0)
		return 1;
	if (len > source->size_bytes)
		len = (size_t)source->size_bytes;
	buf = malloc(len);
	if (!buf || source_read(source, buf, len, source->size_bytes - len) < len)
		return 2;
	r = find_last_page(buf, len, ret_tail);
	if (r != 0)
		return r;
	if (!ret_tail->whole) {
		find_whole_page(buf, len, ret_tail);
		if (ret_tail->whole_bytes > 0)
			ret_tail->whole_bytes += source->size_bytes - len;
	}
	ret_tail->opus = n == sizeof(start) && memcmp(start + OPUS_HEAD_AT, "OpusHead", 8) == 0;
	if (ret_tail->opus)
		ret_tail->opus_skip =
				(uint16_t)(start[OPUS_SKIP_AT] | start[OPUS_SKIP_AT + 1] << 8);
	return 0;
}
