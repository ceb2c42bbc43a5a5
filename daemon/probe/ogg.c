#include "daemon/probe/ogg.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

/* A page: 27 bytes, up to 255 segment lengths, up to 255 segments of 255 bytes. */
#define PAGE_HEADER_BYTES 27
#define PAGE_MAX_BYTES    (PAGE_HEADER_BYTES + 255 + 255 * 255)

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

/* The last page that ends with the file, or else the last one that begins in it. Audio may contain
 * the capture pattern by chance; a page that also ends exactly at the end is no chance. */
static int find_last_page(const uint8_t *buf, size_t len, struct ogg_tail *ret_tail)
{
	bool found = false;

	for (size_t at = len; at-- > 0;) {
		if (len - at <= AT_FLAGS || memcmp(buf + at, "OggS", 4) != 0 ||
			buf[at + AT_VERSION] != 0)
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
	uint8_t capture[4];
	size_t len = PAGE_MAX_BYTES;

	if (source_read(source, capture, sizeof(capture), 0) < sizeof(capture) ||
		memcmp(capture, "OggS", sizeof(capture)) != 0)
		return 1;
	if (len > source->size_bytes)
		len = (size_t)source->size_bytes;
	buf = malloc(len);
	if (!buf || source_read(source, buf, len, source->size_bytes - len) < len)
		return 2;
	return find_last_page(buf, len, ret_tail);
}
