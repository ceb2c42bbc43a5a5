/* ISO base media files (ISO/IEC 14496-12): MP4, M4A, MOV. Boxes of size, type, content.
 *
 * The index (moov) names tracks; tables in it say how long each sample of a track plays, how many
 * bytes it has and where it lies. A file in fragments has an empty index, and a small one (moof)
 * before each piece of media.
 *
 * Lengths are in ticks of their track's clock until they are compared. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/source.h"

#define ISOMEDIA_TRACKS_MAX    16
#define ISOMEDIA_TICKS_UNKNOWN UINT64_MAX

struct isomedia_box {
	uint8_t type[4];
	uint64_t at, start; /* of its header, of its content */
	uint64_t end;       /* as it claims; UINT64_MAX: it reaches to the end of the file */
};

/* The box whose header begins there. 0; 1 when `end` comes before the header does; 2 when the bytes
 * are no header. */
int isomedia_box_read(
		struct source *source, uint64_t at, uint64_t end, struct isomedia_box *ret_box);

bool isomedia_box_is(const struct isomedia_box *box, const char type[static 4]);

/* Calls take() for each box in a box, whole ones only. */
void isomedia_box_each(struct source *source, const struct isomedia_box *parent,
		uint64_t skip_bytes,
		void (*take)(struct source *source, const struct isomedia_box *box, void *context),
		void *context);

/* Entries of one size, one after the other. */
struct isomedia_table {
	uint64_t at;
	uint32_t count;
};

struct isomedia_track {
	uint32_t id;
	bool audio, video;
	bool plain;                     /* uncompressed: zeros are silence */
	uint32_t clock_rate;            /* ticks in a second; 0: the track is no use */
	uint32_t sample_rate, channels; /* of audio */
	uint64_t claimed_ticks;         /* as its header says */

	/* What is played (edit list): so much later, from this tick on, so long. */
	uint64_t delay_ticks, skip_ticks;
	uint64_t play_ticks; /* ISOMEDIA_TICKS_UNKNOWN: to the end */
	uint64_t play_slack; /* by so many ticks play_ticks may be rounded */

	struct isomedia_table times, sizes, runs, chunks;
	uint32_t sample_bytes; /* of every sample; 0: see sizes */
	bool large_chunks;     /* chunks are at 64-bit offsets */

	/* Of fragments. */
	uint32_t default_ticks, default_bytes;
	bool fragmented;                 /* there is one of this track */
	uint64_t begin_ticks, end_ticks; /* of those found so far */
	uint64_t newest_ticks;           /* at which the newest began */
	bool restarted;                  /* the times of one began again: it was appended */
	uint64_t parts_ticks;            /* of all before that one */
};

struct isomedia_movie {
	uint32_t clock_rate;
	bool fragmented; /* fragments are to be expected */
	size_t n_tracks;
	struct isomedia_track tracks[ISOMEDIA_TRACKS_MAX];
};

/* Reads the index, a moov box that is wholly there. */
void isomedia_movie_read(struct source *source, const struct isomedia_box *moov,
		struct isomedia_movie *ret_movie);

struct isomedia_track *isomedia_movie_track(struct isomedia_movie *movie, uint32_t id);

/* All ticks of the track's samples. ISOMEDIA_TICKS_UNKNOWN when its tables are not to be read. */
uint64_t isomedia_samples_ticks(struct source *source, const struct isomedia_track *track);

/* The same of those samples only that lie wholly before `limit`. Offsets
 * count from `base`. */
uint64_t isomedia_samples_before(struct source *source, const struct isomedia_track *track,
		uint64_t base, uint64_t limit);

/* Whether the last chunk of the track begins before `limit`, so that the index may belong to this
 * file. */
bool isomedia_samples_fit(struct source *source, const struct isomedia_track *track, uint64_t base,
		uint64_t limit);

/* Adds a fragment, a moof box that is wholly there, to the tracks of the movie: its samples that
 * lie wholly before `limit`; UINT64_MAX when all do. */
void isomedia_fragment_take(struct source *source, const struct isomedia_box *moof, uint64_t limit,
		struct isomedia_movie *movie);

/* The ticks that are played of so many; 0 for less than is skipped. */
uint64_t isomedia_track_played(const struct isomedia_track *track, uint64_t ticks);

/* One document of the file: an index and its media. Several lie one after the other when somebody
 * appended to it. */
struct isomedia_document {
	bool index;  /* a whole one */
	bool cut;    /* it ends within a box, or its media does not reach as far as its index */
	bool zeroed; /* its media ends in zeros that are no silence */
	bool broken; /* there are bytes that are no box */
	bool joined; /* something was appended that is no document */
	uint64_t media_bytes;
	uint64_t end; /* the next one may begin here */
	bool timed;
	uint64_t length_ns;   /* when timed */
	uint64_t frames;      /* the same by sample_rate, exactly; UINT64_MAX: not counted */
	uint32_t sample_rate; /* of its first audio track; 0: it has none */
	uint32_t channels;
};

/* The document whose first box begins there. 0; 1 when no box does. */
int isomedia_document_read(
		struct source *source, uint64_t at, struct isomedia_document *ret_document);
