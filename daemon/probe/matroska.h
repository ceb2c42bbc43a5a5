/* Matroska and WebM (RFC 9559): a head that describes tracks, then clusters of blocks, each with
 * the time at which it plays. The time of the last block is the length, whatever the head says.
 *
 * A writer that can seek leaves room for the length, the index and the size of the segment, and
 * fills it in when it closes the file. One that streams (MediaRecorder, a pipe) leaves no such room
 * and never closes anything: its file is whole when it ends where a block does.
 *
 * A file may hold several documents one after the other, if somebody appended to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/ebml.h"

#define MATROSKA_TRACKS_MAX  32
#define MATROSKA_CODEC_BYTES 24

enum matroska_id {
	MATROSKA_EBML = 0x1a45dfa3,
	MATROSKA_DOC_TYPE = 0x4282,
	MATROSKA_VOID = 0xec,
	MATROSKA_CRC = 0xbf,
	MATROSKA_SEGMENT = 0x18538067,
	MATROSKA_SEEK_HEAD = 0x114d9b74,
	MATROSKA_INFO = 0x1549a966,
	MATROSKA_TRACKS = 0x1654ae6b,
	MATROSKA_CLUSTER = 0x1f43b675,
	MATROSKA_CUES = 0x1c53bb6b,
	MATROSKA_CHAPTERS = 0x1043a770,
	MATROSKA_ATTACHMENTS = 0x1941a469,
	MATROSKA_TAGS = 0x1254c367,
	/* in a cluster */
	MATROSKA_TIMESTAMP = 0xe7,
	MATROSKA_SIMPLE_BLOCK = 0xa3,
	MATROSKA_BLOCK_GROUP = 0xa0,
	MATROSKA_BLOCK = 0xa1,
};

/* A block of a track, and when it plays. */
struct matroska_block {
	bool found;
	int64_t time_ns;
	uint64_t at, size;    /* of what follows track and time: flags, laces, frames */
	uint64_t duration_ns; /* as its group says, all that is played; 0: it does not say */
	int64_t discard_ns;   /* of its end, not to be played */
};

struct matroska_track {
	uint64_t number;
	bool audio, video;
	char codec[MATROSKA_CODEC_BYTES];
	uint64_t frame_ns, delay_ns; /* 0: not given */
	double sample_rate;          /* of what comes out; 0: not given */
	double coded_rate;           /* of what the codec counts: half of it with SBR */
	uint32_t channels, sample_bits;
	/* And those before the last, in case that one turns out to be hollow. */
	struct matroska_block first, last, before, earlier;
};

struct matroska_head {
	uint64_t tick_ns;
	double duration_ticks; /* as the head says; 0: not given */
	bool reserved;         /* room was left for what closing fills in, and nothing is there */
	size_t n_tracks;
	struct matroska_track tracks[MATROSKA_TRACKS_MAX];
};

void matroska_head_init(struct matroska_head *ret_head);

/* Takes an element of the segment that lies before the clusters. first: the segment's first. */
void matroska_head_take(struct source *source, const struct ebml_element *element, bool first,
		struct matroska_head *head);

struct matroska_track *matroska_head_track(struct matroska_head *head, uint64_t number);

/* How far the clusters of a document are sound. */
struct matroska_walk {
	uint64_t limit;                /* nothing of the document is past it */
	uint64_t good;                 /* up to here every block is whole */
	uint64_t media_bytes;          /* in whole clusters and blocks */
	unsigned elements;             /* looked at so far */
	bool blocks;                   /* there is one */
	bool cut;                      /* the file ends within an element */
	bool broken;                   /* there are bytes that are no element of a cluster */
	bool gave_up;                  /* too many elements */
	struct matroska_track *newest; /* whose block came last */
};

/* Reads the blocks of one cluster into the tracks, and moves walk->good on. Returns where the next
 * element begins. For a cluster of unknown size that is the first that cannot be in one. */
uint64_t matroska_cluster_read(struct source *source, const struct ebml_element *cluster,
		struct matroska_head *head, struct matroska_walk *walk);

/* How long a block plays, and each of its frames in full; 0 where nothing tells. */
struct matroska_span {
	uint64_t block_ns, frame_ns;
	unsigned frames;
};

void matroska_block_span(struct source *source, const struct matroska_track *track,
		const struct matroska_block *block, struct matroska_span *ret_span);

/* Its last bytes are zeros, as in a file whose end was never written. */
bool matroska_block_hollow(struct source *source, const struct matroska_block *block);

/* The time at which the cluster begins, in ticks. 0; 1 when it does not say that at its beginning,
 * or the file ends before. */
int matroska_cluster_ticks(
		struct source *source, const struct ebml_element *cluster, uint64_t *ret_ticks);

/* How long the blocks that were read play, from the first to the end of the last. whole: nothing is
 * missing after the last, so that the head may be asked where no block tells. 0; 1 when there are
 * no blocks. */
int matroska_head_length(struct source *source, const struct matroska_head *head, bool whole,
		uint64_t *ret_length_ns);

/* One document of the file. */
struct matroska_document {
	bool webm;
	bool streamed; /* its writer left no room for anything: it has no end mark */
	bool unclosed; /* its writer left room for a length, and did not come to fill it in */
	bool cut, broken;
	bool joined; /* somebody appended clusters: their times begin again, or the segment ended */
	uint64_t media_bytes;
	uint64_t end; /* the next one may begin here */
	bool timed;
	uint64_t length_ns;   /* when timed */
	uint32_t sample_rate; /* of its first audio track; 0: it has none */
	uint32_t channels;
};

/* The document that begins there. 0; 1 when none does. */
int matroska_document_read(
		struct source *source, uint64_t at, struct matroska_document *ret_document);
