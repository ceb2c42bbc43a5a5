/* One document: its outermost boxes, and then how much of what its index names is there. */
#include "base/cleanup.h"
#include "daemon/probe/isomedia.h"

/* Days in fragments of a second, two boxes each. */
#define BOXES_MAX 1000000
#define NS_PER_S  UINT64_C(1000000000)
/* No codec writes as many zeros in one go, however silent it is. */
#define ZEROS_BYTES             4096
#define ZEROS_BEFORE_MORE_BYTES 16

struct survey {
	struct isomedia_document document;
	struct isomedia_movie movie;
	/* A fragment waits here until it is known whether another box follows its media. */
	struct isomedia_box moof;
	bool waiting, waiting_media;
	bool closed;                     /* the index of a file in fragments is there (mfra) */
	uint64_t media_start, media_end; /* of the last piece of media, as far as it is there */
};

static void end_fragment(struct source *source, uint64_t limit, struct survey *survey)
{
	if (survey->waiting)
		isomedia_fragment_take(source, &survey->moof, limit, &survey->movie);
	survey->waiting = survey->waiting_media = false;
}

static void take_media(
		const struct source *source, const struct isomedia_box *box, struct survey *survey)
{
	survey->media_start = box->start;
	survey->media_end = box->end < source->size_bytes ? box->end : source->size_bytes;
	survey->waiting_media = true;
	if (survey->media_end > box->start)
		survey->document.media_bytes += survey->media_end - box->start;
}

/* 0; 1 for the first box of another document. */
static int take_box(struct source *source, const struct isomedia_box *box, struct survey *survey)
{
	struct isomedia_document *document = &survey->document;
	bool whole = box->end <= source->size_bytes,
	     begun = document->index || survey->media_end > 0;

	if ((isomedia_box_is(box, "ftyp") && begun) ||
			(isomedia_box_is(box, "moov") && document->index))
		return 1;
	/* A box may reach to the end without saying where that is; only the last one. */
	document->cut = !whole && box->end != UINT64_MAX;
	if (survey->waiting_media || isomedia_box_is(box, "moof"))
		end_fragment(source, UINT64_MAX, survey);
	if (isomedia_box_is(box, "mdat")) {
		take_media(source, box, survey);
	} else if (isomedia_box_is(box, "moov") && whole) {
		document->index = true;
		isomedia_movie_read(source, box, &survey->movie);
	} else if (isomedia_box_is(box, "moof") && whole) {
		survey->moof = *box;
		survey->waiting = true;
	}
	survey->closed |= isomedia_box_is(box, "mfra") && whole;
	return 0;
}

static void walk_document(struct source *source, uint64_t at, struct survey *survey)
{
	struct isomedia_document *document = &survey->document;
	struct isomedia_box box;

	for (unsigned n = 0; n < BOXES_MAX && at < source->size_bytes; n++) {
		int r = isomedia_box_read(source, at, source->size_bytes, &box);
		document->cut = r == 1;
		document->broken = r == 2;
		if (r != 0 || take_box(source, &box, survey) != 0)
			break;
		at = box.end < source->size_bytes ? box.end : source->size_bytes;
	}
	document->end = at;
}

static bool is_plain_movie(const struct isomedia_movie *movie)
{
	for (size_t i = 0; i < movie->n_tracks; i++) {
		if (movie->tracks[i].plain)
			return true;
	}
	return false;
}

/* After all that an index names, zeros fill a block of the disk, unless they began before. */
static void excuse_padding(struct source *source, struct survey *survey)
{
	struct isomedia_document *document = &survey->document;
	bool complete = document->index && (!survey->movie.fragmented || survey->closed);
	uint64_t from = is_plain_movie(&survey->movie) ? document->end : survey->media_start;
	uint64_t zeros;

	if (!complete || document->end >= source->size_bytes || document->end < survey->media_end)
		return;
	zeros = source_zeros_before(source, from, source->size_bytes);
	if (zeros > document->end || survey->media_end > zeros + ZEROS_BEFORE_MORE_BYTES)
		return;
	document->broken = document->cut = false;
	document->end = source->size_bytes;
}

/* Where the media ends that is worth something. */
static uint64_t find_limit(struct source *source, struct survey *survey)
{
	uint64_t zeros = survey->media_end;

	if (survey->media_end > survey->media_start && !is_plain_movie(&survey->movie))
		zeros = source_zeros_before(source, survey->media_start, survey->media_end);
	/* Fewer will do where more zeros follow, and no box. */
	if (survey->media_end - zeros <
			(survey->document.broken ? ZEROS_BEFORE_MORE_BYTES : ZEROS_BYTES))
		return survey->media_end;
	survey->document.zeroed = true;
	survey->document.media_bytes -= survey->media_end - zeros;
	return zeros;
}

/* The ticks of the track that are there, and are played. */
static uint64_t track_ticks(struct source *source, struct survey *survey, uint64_t base,
		uint64_t limit, const struct isomedia_track *track)
{
	struct isomedia_document *document = &survey->document;
	uint64_t ticks;

	if (document->cut || document->zeroed) {
		ticks = isomedia_samples_before(source, track, base, limit);
	} else {
		/* An index that names what lies past the media is that of another file. */
		document->cut |= base == 0 && !isomedia_samples_fit(source, track, 0, limit);
		ticks = isomedia_samples_ticks(source, track);
	}
	if (track->fragmented && track->times.count == 0 && track->begin_ticks > 0)
		return track->parts_ticks + track->end_ticks - track->begin_ticks;
	if (track->fragmented && track->end_ticks > ticks)
		ticks = track->end_ticks;
	return isomedia_track_played(track, ticks) + track->parts_ticks;
}

/* Rounds down; UINT64_MAX for what no recording lasts. */
static uint64_t ticks_to(uint64_t ticks, uint64_t rate, uint32_t clock_rate)
{
	uint64_t whole;

	if (__builtin_mul_overflow(ticks / clock_rate, rate, &whole) || whole > INT64_MAX / 2)
		return UINT64_MAX;
	return whole + (ticks % clock_rate * rate + clock_rate / 2) / clock_rate;
}

/* When a track plays. */
struct span {
	uint64_t begin_ns, end_ns;
	uint64_t frames; /* of audio, exactly */
};

/* 0; 1 when the track has no length. */
static int measure_track(struct source *source, struct survey *survey, uint64_t base,
		uint64_t limit, const struct isomedia_track *track, struct span *ret_span)
{
	uint32_t clock_rate = track->clock_rate;
	struct span span;

	if (clock_rate == 0 || (!track->audio && !track->video))
		return 1;
	uint64_t ticks = track_ticks(source, survey, base, limit, track);
	if (ticks == ISOMEDIA_TICKS_UNKNOWN)
		return 1;
	span.begin_ns = ticks_to(track->delay_ticks, NS_PER_S, clock_rate);
	span.end_ns = ticks_to(ticks, NS_PER_S, clock_rate);
	span.frames = ticks_to(ticks, track->sample_rate, clock_rate);
	if (__builtin_add_overflow(span.end_ns, span.begin_ns, &span.end_ns))
		return 1;
	*ret_span = span;
	return 0;
}

/* From the beginning of the first track to the end of the last: where that is one track, and audio,
 * the count of its frames is exact. Where a track cannot be measured, nothing is. */
static void measure(struct source *source, uint64_t base, uint64_t limit, struct survey *survey)
{
	struct isomedia_document *document = &survey->document;
	struct span last = {.frames = UINT64_MAX}, span;
	uint64_t begin_ns = UINT64_MAX;

	for (size_t i = 0; i < survey->movie.n_tracks; i++) {
		const struct isomedia_track *track = &survey->movie.tracks[i];
		document->joined |= track->restarted;
		if (!track->audio && !track->video)
			continue;
		if (measure_track(source, survey, base, limit, track, &span) != 0)
			return;
		if (track->sample_rate != document->sample_rate)
			span.frames = UINT64_MAX;
		if (begin_ns == UINT64_MAX || span.end_ns > last.end_ns)
			last = span;
		begin_ns = span.begin_ns < begin_ns ? span.begin_ns : begin_ns;
	}
	if (begin_ns == UINT64_MAX)
		return;
	document->timed = true;
	document->length_ns = last.end_ns - begin_ns;
	document->frames = last.begin_ns == begin_ns ? last.frames : UINT64_MAX;
}

static void take_facts_of(const struct isomedia_movie *movie, struct isomedia_document *document)
{
	for (size_t i = 0; i < movie->n_tracks; i++) {
		if (!movie->tracks[i].audio)
			continue;
		document->sample_rate = movie->tracks[i].sample_rate;
		document->channels = movie->tracks[i].channels;
		return;
	}
}

int isomedia_document_read(
		struct source *source, uint64_t at, struct isomedia_document *ret_document)
{
	struct survey survey = {.media_end = 0};
	struct isomedia_document *document = &survey.document;

	walk_document(source, at, &survey);
	if (document->end == at && !document->cut)
		return 1;
	excuse_padding(source, &survey);
	uint64_t limit = find_limit(source, &survey);
	document->cut |= survey.waiting && !survey.waiting_media;
	/* What follows the last fragment may not be there, or the end of its media. */
	end_fragment(source, document->cut || document->zeroed ? limit : UINT64_MAX, &survey);
	take_facts_of(&survey.movie, document);
	if (document->index)
		measure(source, at, limit, &survey);
	/* All that the index names is there, and then something that nobody knows. */
	if (document->index && document->broken && !document->zeroed && !survey.movie.fragmented) {
		document->joined = true;
		document->timed = false;
	}
	*ret_document = *document;
	return 0;
}
