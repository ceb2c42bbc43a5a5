/* The blocks of a cluster: which are there whole, and when each plays. */
#include "base/bytes.h"
#include "daemon/probe/matroska.h"

/* Some seven hours of audio and video, if the clusters do not say their size, so that every block
 * has to be passed. Leaves room in the budget of the source for all else. */
#define ELEMENTS_MAX     2000000
#define BLOCK_HEAD_BYTES 10 /* track of up to 8, time of 2 */

enum {
	ID_POSITION = 0xa7,
	ID_PREVIOUS_SIZE = 0xab,
	ID_SILENT_TRACKS = 0x5854,
	ID_ENCRYPTED_BLOCK = 0xaf,
	ID_BLOCK_DURATION = 0x9b,
	ID_DISCARD = 0x75a2,
};

/* What a cluster of unknown size ends before (RFC 9559 section 4.5). */
static bool ends_cluster(uint32_t id)
{
	switch (id) {
	case MATROSKA_EBML:
	case MATROSKA_SEGMENT:
	case MATROSKA_SEEK_HEAD:
	case MATROSKA_INFO:
	case MATROSKA_TRACKS:
	case MATROSKA_CLUSTER:
	case MATROSKA_CUES:
	case MATROSKA_CHAPTERS:
	case MATROSKA_ATTACHMENTS:
	case MATROSKA_TAGS:
		return true;
	default:
		return false;
	}
}

static bool belongs_in_cluster(uint32_t id)
{
	switch (id) {
	case MATROSKA_TIMESTAMP:
	case MATROSKA_SIMPLE_BLOCK:
	case MATROSKA_BLOCK_GROUP:
	case MATROSKA_VOID:
	case MATROSKA_CRC:
	case ID_POSITION:
	case ID_PREVIOUS_SIZE:
	case ID_SILENT_TRACKS:
	case ID_ENCRYPTED_BLOCK:
		return true;
	default:
		return false;
	}
}

/* A number that may be negative, in as few bytes as it needs. */
static int64_t read_signed(struct source *source, const struct ebml_element *element)
{
	uint64_t value = ebml_uint(source, element);

	if (element->size == 0 || element->size > 8)
		return 0;
	unsigned unused = 64 - 8 * (unsigned)element->size;
	return (int64_t)(value << unused) >> unused;
}

struct cluster {
	struct matroska_head *head;
	struct matroska_walk *walk;
	uint64_t ticks;
	struct matroska_block group; /* the block group under way */
	struct matroska_track *group_track;
};

/* Where block and track are found: 0; 1 when it is of no track we know, or of no possible time. */
static int parse_block(struct source *source, const struct ebml_element *element,
		const struct cluster *cluster, struct matroska_block *ret_block,
		struct matroska_track **ret_track)
{
	uint8_t more[BLOCK_HEAD_BYTES];
	const uint8_t *p = element->begin;
	size_t len = element->begin_bytes;
	uint64_t number, ticks;
	int64_t time_ns;

	if (len < 4 || (p[0] < 0x80 && len < sizeof(more))) {
		p = more;
		len = source_read(source, more, sizeof(more), element->at);
	}
	if (len > element->size)
		len = (size_t)element->size;
	size_t bytes = ebml_vint(p, len, &number);
	if (bytes == 0 || len < bytes + 2)
		return 1;
	struct matroska_track *track = matroska_head_track(cluster->head, number);
	int16_t offset = (int16_t)get_be16(p + bytes);
	if (!track || cluster->ticks > INT64_MAX / 2)
		return 1;
	ticks = cluster->ticks + (uint64_t)(int64_t)offset;
	if ((int64_t)ticks < 0 || __builtin_mul_overflow((int64_t)ticks,
						  (int64_t)cluster->head->tick_ns, &time_ns))
		return 1;
	*ret_track = track;
	*ret_block = (struct matroska_block){.found = true,
			.time_ns = time_ns,
			.at = element->at + bytes + 2,
			.size = element->size - bytes - 2};
	return 0;
}

/* Blocks come in the order of their decoding, which for video is not that of their times. */
static void keep_block(const struct matroska_block *block, struct matroska_track *track,
		struct matroska_walk *walk)
{
	if (!track->first.found || block->time_ns < track->first.time_ns)
		track->first = *block;
	if (!track->last.found || block->time_ns >= track->last.time_ns) {
		track->earlier = track->before;
		track->before = track->last;
		track->last = *block;
		walk->newest = track;
	}
}

static void take_group_field(
		struct source *source, const struct ebml_element *element, void *context)
{
	struct cluster *cluster = context;
	struct matroska_block *group = &cluster->group;
	uint64_t ticks;

	switch (element->id) {
	case MATROSKA_BLOCK:
		(void)parse_block(source, element, cluster, group, &cluster->group_track);
		break;
	case ID_BLOCK_DURATION:
		ticks = ebml_uint(source, element);
		if (ticks <= INT64_MAX / cluster->head->tick_ns)
			group->duration_ns = ticks * cluster->head->tick_ns;
		break;
	case ID_DISCARD:
		group->discard_ns = read_signed(source, element);
		break;
	}
}

static void take_cluster_child(
		struct source *source, const struct ebml_element *element, struct cluster *cluster)
{
	struct matroska_block block;
	struct matroska_track *track;

	switch (element->id) {
	case MATROSKA_TIMESTAMP:
		cluster->ticks = ebml_uint(source, element);
		break;
	case MATROSKA_SIMPLE_BLOCK:
		cluster->walk->blocks = true;
		if (parse_block(source, element, cluster, &block, &track) == 0)
			keep_block(&block, track, cluster->walk);
		break;
	case MATROSKA_BLOCK_GROUP:
		cluster->walk->blocks = true;
		cluster->group = (struct matroska_block){.found = false};
		cluster->group_track = NULL;
		ebml_each(source, element->at, ebml_end(element), take_group_field, cluster);
		if (cluster->group_track)
			keep_block(&cluster->group, cluster->group_track, cluster->walk);
		break;
	}
}

/* The element of the cluster that begins there. 0; 1 when the cluster ends before it. */
static int read_cluster_child(struct source *source, uint64_t at, uint64_t end, bool sized,
		struct matroska_walk *walk, struct ebml_element *ret_element)
{
	if (++walk->elements > ELEMENTS_MAX) {
		walk->gave_up = true;
		return 1;
	}
	int r = ebml_read(source, at, ret_element);
	walk->cut = r == 1;
	walk->broken = r == 2;
	if (r != 0)
		return 1;
	if (!sized && ends_cluster(ret_element->id))
		return 1;
	walk->broken = !sized && !belongs_in_cluster(ret_element->id);
	walk->cut = ebml_end(ret_element) > end && end == walk->limit;
	walk->broken |= ebml_end(ret_element) > end && end < walk->limit;
	return walk->broken || walk->cut ? 1 : 0;
}

uint64_t matroska_cluster_read(struct source *source, const struct ebml_element *element,
		struct matroska_head *head, struct matroska_walk *walk)
{
	struct cluster cluster = {.head = head, .walk = walk};
	struct ebml_element child;
	bool sized = element->size != EBML_SIZE_UNKNOWN;
	uint64_t end = ebml_end(element) < walk->limit ? ebml_end(element) : walk->limit;
	uint64_t at = element->at;

	while (at < end) {
		if (read_cluster_child(source, at, end, sized, walk, &child) != 0)
			return at;
		take_cluster_child(source, &child, &cluster);
		at = ebml_end(&child);
		walk->good = at;
	}
	/* It ends between two blocks, and said that it is longer. */
	walk->cut = sized && ebml_end(element) > walk->limit;
	return at;
}

int matroska_cluster_ticks(
		struct source *source, const struct ebml_element *cluster, uint64_t *ret_ticks)
{
	struct ebml_element child;
	uint64_t at = cluster->at;

	/* A checksum may come first. */
	for (unsigned n = 0; n < 2 && at < ebml_end(cluster); n++) {
		if (ebml_read(source, at, &child) != 0 || ebml_end(&child) > source->size_bytes)
			return 1;
		if (child.id == MATROSKA_TIMESTAMP) {
			*ret_ticks = ebml_uint(source, &child);
			return 0;
		}
		at = ebml_end(&child);
	}
	return 1;
}
