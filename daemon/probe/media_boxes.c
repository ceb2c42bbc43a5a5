/* ISO base media files: boxes of size, type, content. The index (moov) is what makes one playable;
 * a writer that is no streamer puts it there when it closes the file. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/media.h"

/* A day in fragments of a second, two boxes each. */
#define BOXES_MAX        200000
#define BOX_HEADER_BYTES 8
#define LARGE_BYTES      16

enum { SIZE_TO_THE_END = 0, SIZE_IS_LARGE = 1 };

struct box {
	uint8_t type[4];
	uint64_t at, header_bytes;
	uint64_t end; /* UINT64_MAX: it never says */
};

/* 0; 1 when the file ends before a whole header; 2 for one that makes no sense. */
static int read_box(struct source *source, uint64_t at, struct box *ret_box)
{
	uint8_t header[LARGE_BYTES];
	size_t n = source_read(source, header, sizeof(header), at);

	if (n < BOX_HEADER_BYTES)
		return 1;
	uint64_t size = get_be32(header);
	struct box box = {.at = at, .header_bytes = BOX_HEADER_BYTES};
	memcpy(box.type, header + 4, sizeof(box.type));
	if (size == SIZE_IS_LARGE) {
		if (n < LARGE_BYTES)
			return 1;
		size = get_be64(header + BOX_HEADER_BYTES);
		box.header_bytes = LARGE_BYTES;
	}
	if (size != SIZE_TO_THE_END && size < box.header_bytes)
		return 2;
	box.end = UINT64_MAX;
	if (size != SIZE_TO_THE_END && size < UINT64_MAX - at)
		box.end = at + size;
	*ret_box = box;
	return 0;
}

static bool box_is(const struct box *box, const char type[static 4])
{
	return memcmp(box->type, type, 4) == 0;
}

struct walk {
	bool index, cut, broken;
	uint64_t media_bytes;
};

static void walk_boxes(struct source *source, struct walk *walk)
{
	uint64_t at = 0;

	for (unsigned n = 0; n < BOXES_MAX && at < source->size_bytes; n++) {
		struct box box;
		int r = read_box(source, at, &box);
		walk->broken = r == 2;
		walk->cut = r == 1;
		if (r != 0)
			return;
		uint64_t end = box.end < source->size_bytes ? box.end : source->size_bytes;
		uint64_t start = box.at + box.header_bytes;
		/* A box may reach to the end without saying where that is; only the last one. */
		walk->cut = box.end != UINT64_MAX && box.end > source->size_bytes;
		if (box_is(&box, "mdat") && end > start)
			walk->media_bytes += end - start;
		if (box_is(&box, "moov") && !walk->cut)
			walk->index = true;
		at = end;
	}
	walk->broken = at < source->size_bytes;
}

int media_boxes_scan(struct source *source, struct media *ret_media)
{
	struct media media = {.frames = PROBE_FRAMES_UNKNOWN, .missing = "no index (moov)"};
	struct walk found = {.index = false};
	struct box first;

	if (read_box(source, 0, &first) != 0 ||
			(!box_is(&first, "ftyp") && !box_is(&first, "styp")))
		return 1;
	walk_boxes(source, &found);
	snprintf(media.format, sizeof(media.format), "mp4");
	media.present_bytes = found.media_bytes;
	if (found.media_bytes == 0 && !found.broken)
		media.state = MEDIA_EMPTY;
	else if (!found.index)
		media.state = MEDIA_UNCLOSED;
	else if (found.broken)
		media.state = MEDIA_BROKEN;
	else
		media.state = found.cut ? MEDIA_CUT : MEDIA_WHOLE;
	*ret_media = media;
	return 0;
}
