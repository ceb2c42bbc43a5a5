/* Containers that libsndfile does not know, and bridges write: is such a file whole?
 *
 * ISO base media files (ISO/IEC 14496-12; Jibri, LiveKit), Matroska and WebM (RFC 9559), and the
 * packet dumps of Janus (its record.c). Their structure is followed, nothing is decoded. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/probe/source.h"

enum media_state {
	MEDIA_WHOLE, /* for a format with an end mark: closed; else: it ends where a piece ends */
	MEDIA_EMPTY, /* headers, no media after them */
	MEDIA_UNCLOSED, /* what is written when the file is closed is not there */
	MEDIA_CUT,      /* it ends within something that says it is longer */
	MEDIA_BROKEN,   /* the structure leads nowhere */
	MEDIA_JOINED,   /* more follows its end: players find the first part only */
};

#define MEDIA_FORMAT_BYTES 16

struct media {
	enum media_state state;
	char format[MEDIA_FORMAT_BYTES]; /* "mp4", "webm", "matroska", "mjr/opus" */
	const char *missing;             /* for MEDIA_UNCLOSED: what closing would have written */
	uint64_t present_bytes;          /* of media */
	uint32_t channels, sample_rate;  /* 0: not known */
	/* PROBE_FRAMES_UNKNOWN, or by the clock of the packets: of what is there, where the file is
	 * damaged. Of video alone they are milliseconds. */
	uint64_t frames;
};

/* 0; 1 when it is none of these. */
int media_scan(struct source *source, struct media *ret_media);

/* Each of them, by its own file. 0; 1 when it is not of that kind. */
int media_boxes_scan(struct source *source, struct media *ret_media);
int media_ebml_scan(struct source *source, struct media *ret_media);
int media_mjr_scan(struct source *source, struct media *ret_media);

/* So long at that rate, to the nearest frame; PROBE_FRAMES_UNKNOWN for what no recording lasts. */
uint64_t media_frames(uint64_t length_ns, uint32_t sample_rate);
