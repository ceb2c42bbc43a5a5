/* Boxes: a size, a type, content. */
#include <string.h>

#include "base/bytes.h"
#include "daemon/probe/isomedia.h"

#define HEADER_BYTES       8
#define LARGE_HEADER_BYTES 16
#define CHILDREN_MAX       4096

enum { SIZE_TO_THE_END = 0, SIZE_IS_LARGE = 1 };

/* Types are letters and digits, if with odd ones among them (0xa9 of QuickTime). Not zeros. */
static bool is_type(const uint8_t type[static 4])
{
	return type[0] >= ' ' && type[1] >= ' ' && type[2] >= ' ' && type[3] >= ' ';
}

int isomedia_box_read(
		struct source *source, uint64_t at, uint64_t end, struct isomedia_box *ret_box)
{
	uint8_t header[LARGE_HEADER_BYTES];
	size_t want = at < end && end - at < sizeof(header) ? (size_t)(end - at) : sizeof(header);
	size_t n = at < end ? source_read(source, header, want, at) : 0;
	struct isomedia_box box = {.at = at, .start = at + HEADER_BYTES, .end = UINT64_MAX};

	if (n < HEADER_BYTES)
		return 1;
	uint64_t size = get_be32(header);
	memcpy(box.type, header + 4, sizeof(box.type));
	if (!is_type(box.type))
		return 2;
	if (size == SIZE_IS_LARGE) {
		if (n < LARGE_HEADER_BYTES)
			return 1;
		size = get_be64(header + HEADER_BYTES);
		box.start = at + LARGE_HEADER_BYTES;
	}
	if (size != SIZE_TO_THE_END && size < box.start - at)
		return 2;
	if (size != SIZE_TO_THE_END)
		box.end = size < UINT64_MAX - at ? at + size : UINT64_MAX - 1;
	*ret_box = box;
	return 0;
}

bool isomedia_box_is(const struct isomedia_box *box, const char type[static 4])
{
	return memcmp(box->type, type, sizeof(box->type)) == 0;
}

void isomedia_box_each(struct source *source, const struct isomedia_box *parent,
		uint64_t skip_bytes,
		void (*take)(struct source *source, const struct isomedia_box *box, void *context),
		void *context)
{
	uint64_t at = parent->start + skip_bytes;
	struct isomedia_box box;

	for (unsigned n = 0; n < CHILDREN_MAX && at < parent->end; n++) {
		if (isomedia_box_read(source, at, parent->end, &box) != 0 || box.end > parent->end)
			return;
		take(source, &box, context);
		at = box.end;
	}
}
