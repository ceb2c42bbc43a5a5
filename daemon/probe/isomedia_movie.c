/* The index: which tracks there are, and where their tables lie. */
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/isomedia.h"

#define EDITS_MAX         64
#define FULL_HEADER_BYTES 4 /* version and flags */
#define SECONDS_MAX       UINT64_C(1000000000)

enum { ES_DESCRIPTOR = 3, DECODER_DESCRIPTOR = 4, SPECIFIC_DESCRIPTOR = 5, AAC_OBJECT = 0x40 };

/* Reads the beginning of a box's content, zeros where it ends before. Returns how much there is. */
static size_t read_content(
		struct source *source, const struct isomedia_box *box, uint8_t *p, size_t len)
{
	uint64_t bytes = box->end - box->start;

	memset(p, 0, len);
	return source_read(source, p, bytes < len ? (size_t)bytes : len, box->start);
}

/* Version 1 has dates and length in 64 bits (section 8.4.2). The clock comes before the length. */
static void read_clock(struct source *source, const struct isomedia_box *box, uint32_t *ret_rate,
		uint64_t *ret_ticks)
{
	uint8_t p[32];

	read_content(source, box, p, sizeof(p));
	if (p[0] == 1) {
		*ret_rate = get_be32(p + 20);
		*ret_ticks = get_be64(p + 24);
	} else {
		*ret_rate = get_be32(p + 12);
		*ret_ticks = get_be32(p + 16);
	}
}

/* A track under construction. */
struct track_reading {
	struct isomedia_movie *movie;
	struct isomedia_track track;
	/* In ticks of the movie, as the edit list has them. */
	uint64_t edit_delay, edit_play;
	bool edited;
};

/* Floors; 0 for what is out of all proportion. */
static uint64_t scale_ticks(uint64_t ticks, uint32_t from_rate, uint32_t to_rate)
{
	if (from_rate == 0 || ticks / from_rate > SECONDS_MAX)
		return 0;
	return ticks / from_rate * to_rate + ticks % from_rate * to_rate / from_rate;
}

static void take_edit(const uint8_t *p, bool wide, struct track_reading *reading)
{
	uint64_t play = wide ? get_be64(p) : get_be32(p);
	int64_t from = wide ? (int64_t)get_be64(p + 8) : (int32_t)get_be32(p + 4);

	if (play > SECONDS_MAX * UINT32_MAX / 2)
		return;
	if (from < 0) {
		reading->edit_delay += play;
	} else {
		if (!reading->edited)
			reading->track.skip_ticks = (uint64_t)from;
		reading->edited = true;
		reading->edit_play += play;
	}
}

static void read_edits(struct source *source, const struct isomedia_box *box,
		struct track_reading *reading)
{
	uint8_t p[8], entry[20];

	read_content(source, box, p, sizeof(p));
	bool wide = p[0] == 1;
	size_t bytes = wide ? 20 : 12;
	uint32_t count = get_be32(p + 4);
	uint64_t at = box->start + sizeof(p);

	for (uint32_t i = 0; i < count && i < EDITS_MAX && at + bytes <= box->end; i++) {
		if (source_read(source, entry, bytes, at) < bytes)
			return;
		take_edit(entry, wide, reading);
		at += bytes;
	}
}

static void take_edit_list(struct source *source, const struct isomedia_box *box, void *context)
{
	if (isomedia_box_is(box, "elst"))
		read_edits(source, box, context);
}

/* The table after so many bytes of the content, the count in its last four. */
static void read_table(struct source *source, const struct isomedia_box *box, uint64_t head_bytes,
		uint32_t entry_bytes, struct isomedia_table *ret_table)
{
	uint8_t p[4];
	uint64_t at = box->start + head_bytes;

	if (box->end < at || source_read(source, p, sizeof(p), at - 4) < sizeof(p))
		return;
	uint64_t fit = (box->end - at) / (entry_bytes > 0 ? entry_bytes : 1);
	uint32_t count = get_be32(p);
	ret_table->at = at;
	ret_table->count = entry_bytes > 0 && count > fit ? (uint32_t)fit : count;
}

static bool is_plain(const uint8_t codec[static 4])
{
	static const char plain[][4] = {{'s', 'o', 'w', 't'}, {'t', 'w', 'o', 's'},
			{'r', 'a', 'w', ' '}, {'l', 'p', 'c', 'm'}, {'i', 'p', 'c', 'm'},
			{'f', 'p', 'c', 'm'}, {'i', 'n', '2', '4'}, {'i', 'n', '3', '2'},
			{'f', 'l', '3', '2'}, {'f', 'l', '6', '4'}, {'N', 'O', 'N', 'E'},
			{'u', 'l', 'a', 'w'}, {'a', 'l', 'a', 'w'}};

	for (size_t i = 0; i < ELEMENTSOF(plain); i++) {
		if (memcmp(codec, plain[i], sizeof(plain[i])) == 0)
			return true;
	}
	return false;
}

/* A descriptor (ISO/IEC 14496-1 section 8.3.3): a tag, a size in groups of 7 bits, content. Returns
 * where the content begins, or len. */
static size_t descriptor_content(const uint8_t *p, size_t len, size_t at, uint8_t tag)
{
	if (at >= len || p[at] != tag)
		return len;
	for (at++; at < len && p[at] & 0x80; at++)
		;
	return at + 1 < len ? at + 1 : len;
}

/* The channels of an AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1), whose rate is one of a
 * list. 0 for what is described elsewhere. */
static uint32_t aac_channels(const uint8_t p[static 2])
{
	static const uint8_t channels[16] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0};
	unsigned kind = p[0] >> 3, rate = (p[0] & 7U) << 1 | p[1] >> 7;

	return kind == 31 || rate == 15 ? 0 : channels[p[1] >> 3 & 15];
}

static void take_aac_configuration(
		struct source *source, const struct isomedia_box *box, void *context)
{
	struct isomedia_track *track = context;
	uint8_t p[64];

	if (!isomedia_box_is(box, "esds"))
		return;
	size_t len = read_content(source, box, p, sizeof(p));
	size_t at = descriptor_content(p, len, FULL_HEADER_BYTES, ES_DESCRIPTOR);
	/* Its flags say what else comes before the next; nobody sets them. */
	at = descriptor_content(p, len, at + 3, DECODER_DESCRIPTOR);
	if (at >= len || p[at] != AAC_OBJECT)
		return;
	at = descriptor_content(p, len, at + 13, SPECIFIC_DESCRIPTOR);
	if (at + 2 <= len && aac_channels(p + at) > 0)
		track->channels = aac_channels(p + at);
}

/* The first description of what the samples are (section 12.2.3). Version 2 of QuickTime has its
 * rate as a floating-point number elsewhere; the clock of the track stands in for it. */
static void read_sample_entry(
		struct source *source, const struct isomedia_box *box, struct isomedia_track *track)
{
	uint8_t p[44];
	struct isomedia_box entry;

	if (read_content(source, box, p, sizeof(p)) < sizeof(p) || !track->audio)
		return;
	track->plain = is_plain(p + 12);
	track->channels = get_be16(p + 32);
	track->sample_rate = get_be16(p + 40);
	/* Of AAC it says 2 mostly; the codec's own configuration says what it is. */
	if (memcmp(p + 12, "mp4a", 4) == 0 &&
			isomedia_box_read(source, box->start + 8, box->end, &entry) == 0 &&
			entry.end <= box->end)
		isomedia_box_each(source, &entry, get_be16(p + 24) == 1 ? 44 : 28,
				take_aac_configuration, track);
}

static void take_sample_table(struct source *source, const struct isomedia_box *box, void *context)
{
	struct track_reading *reading = context;
	struct isomedia_track *track = &reading->track;
	uint8_t p[8];

	if (isomedia_box_is(box, "stsd")) {
		read_sample_entry(source, box, track);
	} else if (isomedia_box_is(box, "stts")) {
		read_table(source, box, 8, 8, &track->times);
	} else if (isomedia_box_is(box, "stsc")) {
		read_table(source, box, 8, 12, &track->runs);
	} else if (isomedia_box_is(box, "stco")) {
		read_table(source, box, 8, 4, &track->chunks);
	} else if (isomedia_box_is(box, "co64")) {
		track->large_chunks = true;
		read_table(source, box, 8, 8, &track->chunks);
	} else if (isomedia_box_is(box, "stsz")) {
		read_content(source, box, p, sizeof(p));
		track->sample_bytes = get_be32(p + 4);
		read_table(source, box, 12, track->sample_bytes > 0 ? 0 : 4, &track->sizes);
	}
}

static void take_track_box(struct source *source, const struct isomedia_box *box, void *context)
{
	struct track_reading *reading = context;
	struct isomedia_track *track = &reading->track;
	uint8_t p[24];

	if (isomedia_box_is(box, "tkhd")) {
		read_content(source, box, p, sizeof(p));
		track->id = get_be32(p + (p[0] == 1 ? 20 : 12));
	} else if (isomedia_box_is(box, "mdhd")) {
		read_clock(source, box, &track->clock_rate, &track->claimed_ticks);
	} else if (isomedia_box_is(box, "hdlr")) {
		read_content(source, box, p, sizeof(p));
		/* In QuickTime another one follows, of the data, in "minf". */
		track->audio |= memcmp(p + 8, "soun", 4) == 0;
		track->video |= memcmp(p + 8, "vide", 4) == 0;
	} else if (isomedia_box_is(box, "edts")) {
		isomedia_box_each(source, box, 0, take_edit_list, reading);
	} else if (isomedia_box_is(box, "mdia") || isomedia_box_is(box, "minf")) {
		isomedia_box_each(source, box, 0, take_track_box, reading);
	} else if (isomedia_box_is(box, "stbl")) {
		isomedia_box_each(source, box, 0, take_sample_table, reading);
	}
}

/* The edits count by the clock of the movie; here, by that of the track. A play time of 0 is that
 * of a movie in fragments, which did not know it. */
static void finish_edits(struct track_reading *reading)
{
	struct isomedia_track *track = &reading->track;
	uint32_t movie_rate = reading->movie->clock_rate;

	track->delay_ticks = scale_ticks(reading->edit_delay, movie_rate, track->clock_rate);
	track->play_ticks = ISOMEDIA_TICKS_UNKNOWN;
	if (reading->edit_play > 0 && movie_rate > 0) {
		track->play_ticks = scale_ticks(reading->edit_play, movie_rate, track->clock_rate);
		track->play_slack = track->clock_rate / movie_rate + 1;
	}
}

static void read_track(struct source *source, const struct isomedia_box *trak,
		struct isomedia_movie *movie)
{
	struct track_reading reading = {.movie = movie};

	if (movie->n_tracks == ELEMENTSOF(movie->tracks))
		return;
	isomedia_box_each(source, trak, 0, take_track_box, &reading);
	finish_edits(&reading);
	if (reading.track.audio && reading.track.sample_rate == 0)
		reading.track.sample_rate = reading.track.clock_rate;
	movie->tracks[movie->n_tracks++] = reading.track;
}

static void take_extends(struct source *source, const struct isomedia_box *box, void *context)
{
	uint8_t p[24];

	if (!isomedia_box_is(box, "trex"))
		return;
	read_content(source, box, p, sizeof(p));
	struct isomedia_track *track = isomedia_movie_track(context, get_be32(p + 4));
	if (track) {
		track->default_ticks = get_be32(p + 12);
		track->default_bytes = get_be32(p + 16);
	}
}

static void take_movie_box(struct source *source, const struct isomedia_box *box, void *context)
{
	struct isomedia_movie *movie = context;
	uint64_t claimed_ticks;

	if (isomedia_box_is(box, "mvhd")) {
		read_clock(source, box, &movie->clock_rate, &claimed_ticks);
	} else if (isomedia_box_is(box, "trak")) {
		read_track(source, box, movie);
	} else if (isomedia_box_is(box, "mvex")) {
		movie->fragmented = true;
		isomedia_box_each(source, box, 0, take_extends, movie);
	}
}

void isomedia_movie_read(struct source *source, const struct isomedia_box *moov,
		struct isomedia_movie *ret_movie)
{
	*ret_movie = (struct isomedia_movie){.n_tracks = 0};
	isomedia_box_each(source, moov, 0, take_movie_box, ret_movie);
}

struct isomedia_track *isomedia_movie_track(struct isomedia_movie *movie, uint32_t id)
{
	for (size_t i = 0; i < movie->n_tracks; i++) {
		if (movie->tracks[i].id == id)
			return &movie->tracks[i];
	}
	return NULL;
}

uint64_t isomedia_track_played(const struct isomedia_track *track, uint64_t ticks)
{
	if (ticks == ISOMEDIA_TICKS_UNKNOWN)
		return ticks;
	ticks = ticks > track->skip_ticks ? ticks - track->skip_ticks : 0;
	/* Rounded by the clock of the movie, it says no more than the samples do. */
	if (track->play_ticks == ISOMEDIA_TICKS_UNKNOWN ||
			ticks <= track->play_ticks + track->play_slack)
		return ticks;
	return track->play_ticks;
}
