/* Matroska and WebM: whole when every document of the file is. */
#include <stdio.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/matroska.h"
#include "daemon/probe/media.h"

#define DOCUMENTS_MAX 1000
#define MS_PER_S      1000

/* All documents of a file, as one. */
struct documents {
	struct matroska_document first;
	unsigned n;
	bool cut, broken, unclosed, joined, untimed;
	uint64_t media_bytes, length_ns;
};

static void add_document(const struct matroska_document *document, struct documents *documents)
{
	if (documents->n++ == 0)
		documents->first = *document;
	documents->cut |= document->cut;
	documents->broken |= document->broken;
	documents->unclosed |= document->unclosed;
	documents->joined |= document->joined;
	documents->media_bytes += document->media_bytes;
	documents->untimed |= !document->timed ||
			      __builtin_add_overflow(documents->length_ns, document->length_ns,
					      &documents->length_ns);
}

static void read_documents(struct source *source, struct documents *documents)
{
	struct matroska_document document;
	uint64_t at = 0;

	while (at < source->size_bytes && documents->n < DOCUMENTS_MAX &&
			matroska_document_read(source, at, &document) == 0) {
		add_document(&document, documents);
		at = document.end;
		if (document.cut || document.broken)
			return;
	}
	/* What follows the last one is not of it; zeros only fill a block of the disk. */
	if (at > 0 && at < source->size_bytes &&
			source_zeros_before(source, at, source->size_bytes) > at) {
		documents->joined = true;
		documents->untimed = true;
	}
}

/* Video alone has no samples: milliseconds are the frames then. */
static void conclude_facts(const struct documents *documents, struct media *media)
{
	media->channels = documents->first.channels;
	media->sample_rate = documents->first.sample_rate;
	if (documents->untimed)
		return;
	if (media->sample_rate == 0)
		media->sample_rate = MS_PER_S;
	media->frames = media_frames(documents->length_ns, media->sample_rate);
}

int media_ebml_scan(struct source *source, struct media *ret_media)
{
	struct media media = {.frames = PROBE_FRAMES_UNKNOWN, .missing = "no size of the segment"};
	struct documents documents = {.n = 0};

	read_documents(source, &documents);
	if (documents.n == 0)
		return 1;
	snprintf(media.format, sizeof(media.format), documents.first.webm ? "webm" : "matroska");
	media.present_bytes = documents.media_bytes;
	conclude_facts(&documents, &media);
	if (documents.n > 1 || documents.joined)
		media.state = MEDIA_JOINED;
	else if (documents.media_bytes == 0)
		media.state = documents.broken ? MEDIA_BROKEN : MEDIA_EMPTY;
	else if (documents.unclosed)
		media.state = MEDIA_UNCLOSED;
	else if (documents.broken)
		media.state = MEDIA_BROKEN;
	else
		media.state = documents.cut ? MEDIA_CUT : MEDIA_WHOLE;
	*ret_media = media;
	return 0;
}
