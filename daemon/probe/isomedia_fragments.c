/* A fragment (section 8.8): for each track, when its samples begin and how long they play. */
#include "base/bytes.h"
#include "daemon/probe/isomedia.h"

#define RUN_ENTRY_MAX     16
#define WINDOW_ENTRIES    256
#define MDAT_HEADER_BYTES 8

enum {
	TFHD_BASE = 0x1,
	TFHD_DESCRIPTION = 0x2,
	TFHD_TICKS = 0x8,
	TFHD_BYTES = 0x10,
	TRUN_OFFSET = 0x1,
	TRUN_FIRST_FLAGS = 0x4,
	TRUN_TICKS = 0x100,
	TRUN_BYTES = 0x200,
	TRUN_FLAGS = 0x400,
	TRUN_COMPOSITION = 0x800,
};

/* What a fragment says of one track. */
struct piece {
	struct isomedia_movie *movie;
	const struct isomedia_box *moof;
	uint64_t limit, at; /* at: where the next sample lies */
	struct isomedia_track *track;
	uint32_t default_ticks, default_bytes;
	bool timed; /* it says when it begins */
	uint64_t begin_ticks, ticks;
	bool ended; /* the limit was reached */
};

static void read_piece_head(
		struct source *source, const struct isomedia_box *box, struct piece *piece)
{
	uint8_t p[32] = {0};
	size_t at = 8, len = box->end - box->start < sizeof(p) ? (size_t)(box->end - box->start)
							       : sizeof(p);

	(void)source_read(source, p, len, box->start);
	uint32_t flags = get_be32(p);
	piece->track = isomedia_movie_track(piece->movie, get_be32(p + 4));
	if (!piece->track)
		return;
	at += flags & TFHD_BASE ? 8 : 0;
	at += flags & TFHD_DESCRIPTION ? 4 : 0;
	piece->default_ticks = flags & TFHD_TICKS ? get_be32(p + at) : piece->track->default_ticks;
	at += flags & TFHD_TICKS ? 4 : 0;
	piece->default_bytes = flags & TFHD_BYTES ? get_be32(p + at) : piece->track->default_bytes;
}

static void read_begin(struct source *source, const struct isomedia_box *box, struct piece *piece)
{
	uint8_t p[12];

	if (box->end - box->start < sizeof(p) - 4 ||
			source_read(source, p, sizeof(p), box->start) < sizeof(p))
		return;
	piece->timed = true;
	piece->begin_ticks = p[0] == 1 ? get_be64(p + 4) : get_be32(p + 4);
}

/* The samples of a run, as it describes them. */
struct run {
	uint32_t flags, count;
	uint64_t at; /* of its first entry */
	uint32_t entry_bytes;
};

static uint32_t run_entry_bytes(uint32_t flags)
{
	uint32_t bytes = 0;

	for (uint32_t flag = TRUN_TICKS; flag <= TRUN_COMPOSITION; flag <<= 1)
		bytes += flags & flag ? 4 : 0;
	return bytes;
}

/* One sample. False when it does not lie before the limit. */
static bool add_sample(const struct run *run, const uint8_t *entry, struct piece *piece)
{
	uint32_t ticks = run->flags & TRUN_TICKS ? get_be32(entry) : piece->default_ticks;
	const uint8_t *sized = entry + (run->flags & TRUN_TICKS ? 4 : 0);
	uint32_t bytes = run->flags & TRUN_BYTES ? get_be32(sized) : piece->default_bytes;

	if (piece->limit != UINT64_MAX) {
		if (piece->at > piece->limit || bytes > piece->limit - piece->at)
			return false;
		piece->at += bytes;
	}
	piece->ticks += ticks;
	return true;
}

static void add_samples(struct source *source, const struct run *run, struct piece *piece)
{
	uint8_t window[WINDOW_ENTRIES * RUN_ENTRY_MAX];
	uint32_t held = 0, first = 0;

	for (uint32_t i = 0; i < run->count; i++) {
		if (i >= first + held) {
			uint32_t left = run->count - i;
			uint32_t some = left < WINDOW_ENTRIES ? left : WINDOW_ENTRIES;
			uint64_t at = run->at + (uint64_t)i * run->entry_bytes;
			size_t n = source_read(source, window, (size_t)some * run->entry_bytes, at);
			first = i;
			held = (uint32_t)(n / run->entry_bytes);
		}
		piece->ended = i >= first + held ||
			       !add_sample(run, window + (size_t)(i - first) * run->entry_bytes,
					       piece);
		if (piece->ended)
			return;
	}
}

/* Samples of which nothing is said one by one. */
static void add_equal_samples(const struct run *run, struct piece *piece)
{
	uint64_t count = run->count;

	if (piece->limit != UINT64_MAX && piece->default_bytes > 0) {
		uint64_t room = piece->limit > piece->at ? piece->limit - piece->at : 0;
		uint64_t fitting = room / piece->default_bytes;
		piece->ended = fitting < count;
		count = fitting < count ? fitting : count;
		piece->at += count * piece->default_bytes;
	}
	piece->ticks += count * piece->default_ticks;
}

static void add_run(struct source *source, const struct isomedia_box *box, struct piece *piece)
{
	uint8_t p[12] = {0};
	struct run run;
	size_t len = box->end - box->start < sizeof(p) ? (size_t)(box->end - box->start)
						       : sizeof(p);

	(void)source_read(source, p, len, box->start);
	run.flags = get_be32(p) & 0xffffff;
	run.count = get_be32(p + 4);
	run.entry_bytes = run_entry_bytes(run.flags);
	run.at = box->start + 8 + (run.flags & TRUN_OFFSET ? 4 : 0) +
		 (run.flags & TRUN_FIRST_FLAGS ? 4 : 0);
	if (piece->ended || run.at > box->end)
		return;
	if (run.flags & TRUN_OFFSET)
		piece->at = piece->moof->at + (uint64_t)(int64_t)(int32_t)get_be32(p + 8);
	if (run.entry_bytes == 0)
		add_equal_samples(&run, piece);
	else if (run.count <= (box->end - run.at) / run.entry_bytes)
		add_samples(source, &run, piece);
}

static void take_piece_box(struct source *source, const struct isomedia_box *box, void *context)
{
	struct piece *piece = context;

	if (isomedia_box_is(box, "tfhd"))
		read_piece_head(source, box, piece);
	else if (isomedia_box_is(box, "tfdt"))
		read_begin(source, box, piece);
	else if (isomedia_box_is(box, "trun") && piece->track)
		add_run(source, box, piece);
}

/* Where it says when it begins, there may be a gap before it, and that is time, too. Where its time
 * is before that of the last one, somebody appended it. */
static void add_piece(const struct piece *piece)
{
	struct isomedia_track *track = piece->track;
	uint64_t begin = piece->timed ? piece->begin_ticks : track->end_ticks, end;

	if (__builtin_add_overflow(begin, piece->ticks, &end))
		return;
	if (!track->fragmented) {
		track->begin_ticks = begin;
	} else if (begin < track->newest_ticks) {
		track->restarted = true;
		track->parts_ticks += track->end_ticks - track->begin_ticks;
		track->begin_ticks = begin;
		track->end_ticks = begin;
	}
	track->fragmented = true;
	track->newest_ticks = begin;
	if (end > track->end_ticks)
		track->end_ticks = end;
}

struct fragment {
	const struct isomedia_box *moof;
	uint64_t limit;
	struct isomedia_movie *movie;
};

static void take_fragment_box(struct source *source, const struct isomedia_box *box, void *context)
{
	const struct fragment *fragment = context;
	struct piece piece = {.movie = fragment->movie,
			.moof = fragment->moof,
			.limit = fragment->limit,
			.at = fragment->moof->end + MDAT_HEADER_BYTES};

	if (!isomedia_box_is(box, "traf"))
		return;
	isomedia_box_each(source, box, 0, take_piece_box, &piece);
	if (piece.track)
		add_piece(&piece);
}

void isomedia_fragment_take(struct source *source, const struct isomedia_box *moof, uint64_t limit,
		struct isomedia_movie *movie)
{
	struct fragment fragment = {.moof = moof, .limit = limit, .movie = movie};

	isomedia_box_each(source, moof, 0, take_fragment_box, &fragment);
}
