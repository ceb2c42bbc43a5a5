/* Matroska and WebM: one Segment, whose size a writer fills in when it closes the file. */
#include <stdio.h>
#include <string.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/media.h"

#define ELEMENTS_MAX 1024
#define HEADER_MAX   12 /* id up to 4 bytes, size up to 8 */

enum {
	ID_EBML = 0x1a45dfa3,
	ID_DOC_TYPE = 0x4282,
	ID_SEGMENT = 0x18538067,
	ID_CLUSTER = 0x1f43b675,
};

struct element {
	uint32_t id;
	uint64_t at;   /* of its content */
	uint64_t size; /* UINT64_MAX: unknown */
};

/* The bytes of a variable-length integer by its first byte; 0: none (RFC 8794 section 4). */
static size_t vint_bytes(uint8_t first)
{
	size_t bytes = 1;

	for (uint8_t bit = 0x80; bit != 0; bit >>= 1, bytes++) {
		if (first & bit)
			return bytes;
	}
	return 0;
}

/* 0; 1 when there is no whole, sound header. */
static int read_element(struct source *source, uint64_t at, struct element *ret_element)
{
	uint8_t p[HEADER_MAX];
	size_t n = source_read(source, p, sizeof(p), at);
	size_t id_bytes = n > 0 ? vint_bytes(p[0]) : 0;

	if (id_bytes == 0 || id_bytes > 4 || n <= id_bytes)
		return 1;
	size_t size_bytes = vint_bytes(p[id_bytes]);
	if (size_bytes == 0 || n < id_bytes + size_bytes)
		return 1;
	struct element element = {.at = at + id_bytes + size_bytes};
	for (size_t i = 0; i < id_bytes; i++)
		element.id = element.id << 8 | p[i];
	uint64_t most = (UINT64_C(1) << (7 * size_bytes)) - 1;
	for (size_t i = 0; i < size_bytes; i++)
		element.size = element.size << 8 | p[id_bytes + i];
	element.size &= most;
	if (element.size == most)
		element.size = UINT64_MAX;
	*ret_element = element;
	return 0;
}

static bool fits_parent(const struct source *source, const struct element *element)
{
	return element->at <= source->size_bytes &&
	       element->size <= source->size_bytes - element->at;
}

static void read_doc_type(struct source *source, const struct element *head, char *ret_format)
{
	uint64_t at = head->at;
	struct element element;

	snprintf(ret_format, MEDIA_FORMAT_BYTES, "matroska");
	for (unsigned n = 0; n < ELEMENTS_MAX && at < head->at + head->size; n++) {
		uint8_t text[4];
		if (read_element(source, at, &element) != 0 || !fits_parent(source, &element))
			return;
		if (element.id == ID_DOC_TYPE && element.size >= sizeof(text) &&
				source_read(source, text, sizeof(text), element.at) ==
						sizeof(text) &&
				memcmp(text, "webm", sizeof(text)) == 0)
			snprintf(ret_format, MEDIA_FORMAT_BYTES, "webm");
		at = element.at + element.size;
	}
}

/* Bytes from the first cluster on; 0 when there is none. */
static uint64_t cluster_bytes(struct source *source, const struct element *segment)
{
	uint64_t at = segment->at;
	struct element element;

	for (unsigned n = 0; n < ELEMENTS_MAX && at < source->size_bytes; n++) {
		if (read_element(source, at, &element) != 0)
			return 0;
		if (element.id == ID_CLUSTER)
			return source->size_bytes - element.at;
		if (!fits_parent(source, &element))
			return 0;
		at = element.at + element.size;
	}
	return 0;
}

int media_ebml_scan(struct source *source, struct media *ret_media)
{
	struct media media = {.frames = PROBE_FRAMES_UNKNOWN, .missing = "no size of the segment"};
	struct element head, segment;

	if (read_element(source, 0, &head) != 0 || head.id != ID_EBML)
		return 1;
	if (!fits_parent(source, &head) ||
			read_element(source, head.at + head.size, &segment) != 0) {
		snprintf(media.format, sizeof(media.format), "matroska");
		media.state = fits_parent(source, &head) ? MEDIA_EMPTY : MEDIA_CUT;
		*ret_media = media;
		return 0;
	}
	read_doc_type(source, &head, media.format);
	media.present_bytes = segment.id == ID_SEGMENT ? cluster_bytes(source, &segment) : 0;
	if (segment.id != ID_SEGMENT)
		media.state = MEDIA_BROKEN;
	else if (media.present_bytes == 0)
		media.state = MEDIA_EMPTY;
	else if (segment.size == UINT64_MAX)
		media.state = MEDIA_UNCLOSED;
	else
		media.state = fits_parent(source, &segment) ? MEDIA_WHOLE : MEDIA_CUT;
	*ret_media = media;
	return 0;
}
