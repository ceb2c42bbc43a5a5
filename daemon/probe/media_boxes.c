/* ISO base media files. The index is what makes one playable; a writer that is no streamer puts it
 * there when it closes the file. One in fragments has no end mark. */
#include <stdio.h>

#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/isomedia.h"
#include "daemon/probe/media.h"

#define DOCUMENTS_MAX 1000
#define MS_PER_S      1000

/* All documents of a file, as one. */
struct gathering {
	struct isomedia_document first;
	unsigned n;
	bool no_index, cut, broken, joined, untimed;
	uint64_t media_bytes, length_ns;
};

static void gather(const struct isomedia_document *document, struct gathering *all)
{
	if (all->n++ == 0)
		all->first = *document;
	all->no_index |= !document->index;
	all->cut |= document->cut || document->zeroed;
	all->broken |= document->broken;
	all->joined |= document->joined;
	all->media_bytes += document->media_bytes;
	all->untimed |= !document->timed || __builtin_add_overflow(all->length_ns,
							    document->length_ns, &all->length_ns);
}

static void gather_documents(struct source *source, struct gathering *all)
{
	struct isomedia_document document;
	uint64_t at = 0;

	while (at < source->size_bytes && all->n < DOCUMENTS_MAX &&
			isomedia_document_read(source, at, &document) == 0) {
		gather(&document, all);
		at = document.end;
		if (document.cut || document.broken)
			return;
	}
	all->broken |= at < source->size_bytes;
}

/* Boxes with which no other kind of file begins. */
static bool begins_media(struct source *source)
{
	static const char types[][4] = {{'f', 't', 'y', 'p'}, {'s', 't', 'y', 'p'},
			{'m', 'o', 'o', 'v'}, {'m', 'd', 'a', 't'}, {'w', 'i', 'd', 'e'}};
	struct isomedia_box box;

	if (isomedia_box_read(source, 0, source->size_bytes, &box) != 0)
		return false;
	for (size_t i = 0; i < ELEMENTSOF(types); i++) {
		if (isomedia_box_is(&box, types[i]))
			return true;
	}
	return false;
}

/* Video alone has no samples: milliseconds are the frames then. */
static void conclude_length_of(const struct gathering *all, struct media *media)
{
	media->channels = all->first.channels;
	media->sample_rate = all->first.sample_rate;
	if (all->untimed)
		return;
	if (media->sample_rate == 0)
		media->sample_rate = MS_PER_S;
	media->frames = media_frames(all->length_ns, media->sample_rate);
	if (all->n == 1 && all->first.frames <= INT64_MAX / 2 && all->first.sample_rate > 0)
		media->frames = all->first.frames;
}

int media_boxes_scan(struct source *source, struct media *ret_media)
{
	struct media media = {.frames = PROBE_FRAMES_UNKNOWN, .missing = "no index (moov)"};
	struct gathering all = {.n = 0};

	if (!begins_media(source))
		return 1;
	gather_documents(source, &all);
	snprintf(media.format, sizeof(media.format), "mp4");
	media.present_bytes = all.media_bytes;
	conclude_length_of(&all, &media);
	if (all.n > 1 || all.joined)
		media.state = MEDIA_JOINED;
	else if (all.media_bytes == 0 && !all.broken)
		media.state = MEDIA_EMPTY;
	else if (all.no_index)
		media.state = MEDIA_UNCLOSED;
	else if (all.broken)
		media.state = MEDIA_BROKEN;
	else
		media.state = all.cut ? MEDIA_CUT : MEDIA_WHOLE;
	*ret_media = media;
	return 0;
}
