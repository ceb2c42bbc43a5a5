/* One document from its head to its end: the clusters, and what is between them. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/probe/matroska.h"

/* A cluster lasts a second or five, so this is days. Of most, only size and time are read. */
#define CLUSTERS_MAX 100000

/* The walk over the clusters of a document. */
struct passage {
	struct matroska_head head;
	struct matroska_walk walk;
	/* Clusters that were passed and not read. The last two matter for the time of the end: the
	 * very last may hold one track only. */
	struct ebml_element passed[2];
	unsigned n_passed;
	uint64_t first_at; /* of the first cluster; 0: there was none */
	uint64_t ticks;    /* of the newest cluster */
	/* Where times begin again, what came before is a part of its own. */
	uint64_t parts_ns;
	bool joined, untimed, part_read;
};

/* The blocks of what was passed, and whether they are sound. */
static void read_passed(struct source *source, struct passage *passage)
{
	for (unsigned i = 0; i < passage->n_passed; i++) {
		struct matroska_walk walk = passage->walk;
		walk.cut = walk.broken = false;
		walk.good = passage->passed[i].head_at;
		matroska_cluster_read(source, &passage->passed[i], &passage->head, &walk);
		passage->walk.elements = walk.elements;
		passage->walk.gave_up |= walk.gave_up;
		passage->walk.newest = walk.newest;
		passage->walk.blocks |= walk.blocks;
		if (walk.cut || walk.broken) {
			passage->walk.broken = true;
			passage->walk.good = walk.good;
			break;
		}
	}
	passage->n_passed = 0;
}

/* A part whose times end here counts as it is; the next begins with no block. */
static void end_part(struct source *source, struct passage *passage)
{
	uint64_t length_ns;

	read_passed(source, passage);
	if (matroska_head_length(source, &passage->head, false, &length_ns) != 0 ||
			__builtin_add_overflow(passage->parts_ns, length_ns, &passage->parts_ns))
		passage->untimed = true;
	for (size_t i = 0; i < passage->head.n_tracks; i++) {
		struct matroska_track *track = &passage->head.tracks[i];
		track->first = track->last = track->before = track->earlier =
				(struct matroska_block){.found = false};
	}
	passage->walk.newest = NULL;
	passage->part_read = false;
	passage->joined = true;
}

/* Whether times begin again with this cluster. Where only one is before it, and its time is the
 * same, the blocks tell. */
static bool begins_again(const struct passage *passage, uint64_t ticks)
{
	const struct matroska_track *newest = passage->walk.newest;

	if (ticks != passage->ticks)
		return ticks < passage->ticks;
	return passage->n_passed == 0 && newest && newest->last.time_ns > 0 &&
	       (uint64_t)newest->last.time_ns / passage->head.tick_ns > ticks;
}

/* The first cluster of a part is read for the times at which the tracks begin, and one of unknown
 * size, or that is cut, to find where its blocks end. */
static uint64_t take_cluster(
		struct source *source, const struct ebml_element *cluster, struct passage *passage)
{
	uint64_t ticks = passage->ticks;
	bool timed = matroska_cluster_ticks(source, cluster, &ticks) == 0;

	if (passage->first_at == 0)
		passage->first_at = cluster->head_at;
	else if (timed && begins_again(passage, ticks))
		end_part(source, passage);
	passage->ticks = ticks;
	if (!passage->part_read || ebml_end(cluster) > passage->walk.limit) {
		read_passed(source, passage);
		passage->part_read = true;
		if (passage->walk.broken)
			return cluster->head_at;
		return matroska_cluster_read(source, cluster, &passage->head, &passage->walk);
	}
	if (passage->n_passed == ELEMENTSOF(passage->passed))
		passage->passed[0] = passage->passed[1];
	else
		passage->n_passed++;
	passage->passed[passage->n_passed - 1] = *cluster;
	passage->walk.good = ebml_end(cluster);
	return ebml_end(cluster);
}

/* The element there, of the segment's own level. Returns where the next begins, or the same place
 * when the segment ends there, well or not. */
static uint64_t take_segment_child(struct source *source, uint64_t at,
		const struct ebml_element *segment, struct passage *passage)
{
	struct matroska_walk *walk = &passage->walk;
	struct ebml_element element;
	int r = ebml_read(source, at, &element);

	walk->cut = r == 1;
	walk->broken = r == 2;
	if (r != 0)
		return at;
	if (element.id == MATROSKA_CLUSTER)
		return take_cluster(source, &element, passage);
	/* A segment that never says how long it is ends where another document begins. */
	if (element.id == MATROSKA_EBML || element.id == MATROSKA_SEGMENT) {
		walk->broken = segment->size != EBML_SIZE_UNKNOWN;
		return at;
	}
	walk->broken = element.size == EBML_SIZE_UNKNOWN;
	walk->cut = ebml_end(&element) > walk->limit;
	if (walk->broken || walk->cut)
		return at;
	if (passage->first_at == 0)
		matroska_head_take(source, &element, at == segment->at, &passage->head);
	return ebml_end(&element);
}

/* Clusters that begin where the segment ended: somebody opened the file again and went on. */
static bool goes_on(struct source *source, uint64_t at)
{
	struct ebml_element element;

	return at < source->size_bytes && ebml_read(source, at, &element) == 0 &&
	       element.id == MATROSKA_CLUSTER;
}

static uint64_t walk_segment(
		struct source *source, const struct ebml_element *segment, struct passage *passage)
{
	struct matroska_walk *walk = &passage->walk;
	uint64_t at = segment->at;

	for (unsigned n = 0; n < CLUSTERS_MAX; n++) {
		if (at == walk->limit && goes_on(source, at)) {
			walk->limit = source->size_bytes;
			passage->joined = true;
		}
		if (at >= walk->limit)
			return at;
		uint64_t next = take_segment_child(source, at, segment, passage);
		if (next == at || walk->cut || walk->broken || walk->gave_up)
			return next;
		at = next;
	}
	walk->gave_up = true;
	return at;
}

/* The last block may be the one in which the zeros begin. */
static void drop_hollow(struct source *source, struct matroska_walk *walk)
{
	struct matroska_track *track = walk->newest;

	if (!walk->broken || !track || !track->last.found ||
			!matroska_block_hollow(source, &track->last))
		return;
	track->last = track->before;
	track->before = track->earlier;
	if (!track->last.found)
		track->first = track->last;
}

static void conclude_length(struct source *source, struct passage *passage, bool whole,
		struct matroska_document *document)
{
	uint64_t length_ns = 0;

	if (passage->untimed || matroska_head_length(source, &passage->head,
						whole && !passage->joined, &length_ns) != 0)
		return;
	document->timed =
			!__builtin_add_overflow(passage->parts_ns, length_ns, &document->length_ns);
}

static void conclude_tracks(const struct matroska_head *head, struct matroska_document *document)
{
	for (size_t i = 0; i < head->n_tracks; i++) {
		if (!head->tracks[i].audio)
			continue;
		document->sample_rate = (uint32_t)head->tracks[i].sample_rate;
		document->channels = head->tracks[i].channels;
		return;
	}
}

static void read_segment(struct source *source, const struct ebml_element *segment,
		struct matroska_document *document)
{
	struct passage passage = {.first_at = 0};
	struct matroska_walk *walk = &passage.walk;
	bool sized = segment->size != EBML_SIZE_UNKNOWN;

	matroska_head_init(&passage.head);
	walk->limit = ebml_end(segment) < source->size_bytes ? ebml_end(segment)
							     : source->size_bytes;
	uint64_t at = walk_segment(source, segment, &passage);
	read_passed(source, &passage);
	drop_hollow(source, walk);
	if (walk->gave_up && source->error == 0)
		source->error = -EFBIG;
	document->cut = walk->cut || (sized && ebml_end(segment) > source->size_bytes);
	document->broken = walk->broken;
	document->joined = passage.joined;
	document->unclosed = !sized && passage.head.reserved;
	document->streamed = !sized && !passage.head.reserved;
	document->end = at;
	if (walk->blocks && walk->good > passage.first_at)
		document->media_bytes = walk->good - passage.first_at;
	conclude_length(source, &passage, !document->cut && !document->broken, document);
	conclude_tracks(&passage.head, document);
}

static void take_doc_type(struct source *source, const struct ebml_element *element, void *context)
{
	struct matroska_document *document = context;
	char text[4];

	if (element->id == MATROSKA_DOC_TYPE && element->size >= sizeof(text) &&
			source_read(source, text, sizeof(text), element->at) == sizeof(text))
		document->webm = memcmp(text, "webm", sizeof(text)) == 0;
}

int matroska_document_read(
		struct source *source, uint64_t at, struct matroska_document *ret_document)
{
	struct matroska_document document = {.webm = false};
	struct ebml_element head, segment;

	if (ebml_read(source, at, &head) != 0 || head.id != MATROSKA_EBML)
		return 1;
	document.end = source->size_bytes;
	document.cut = ebml_end(&head) > source->size_bytes;
	if (!document.cut) {
		ebml_each(source, head.at, ebml_end(&head), take_doc_type, &document);
		int r = ebml_read(source, ebml_end(&head), &segment);
		if (r == 0 && segment.id == MATROSKA_SEGMENT)
			read_segment(source, &segment, &document);
		else
			document.broken = r != 1;
	}
	*ret_document = document;
	return 0;
}
