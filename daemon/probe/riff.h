/* What a WAV file's chunk headers claim, against what is there.
 *
 * libsndfile repairs wrong sizes silently, so the claim has to be read here. RIFF/WAVE (Multimedia
 * Programming Interface and Data Specifications 1.0, 1991) and RF64 (EBU Tech 3306). Reads headers,
 * at most RIFF_CHUNKS_MAX of them in a file; and zeros that may be padding, up to the first byte
 * that is none (sweep.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/source.h"

#define RIFF_CHUNKS_MAX 1024

/* What sox writes as the size until it closes the file, in WAV and in AIFF. */
#define RIFF_SIZE_SOX      UINT64_C(0x7ffff000)
#define RIFF_SIZE_SOX_AIFF UINT64_C(0x7f000000)

enum riff_state {
	RIFF_COMPLETE, /* the data chunk holds what it claims */
	RIFF_NO_AUDIO, /* the header, or its beginning, and no audio after it */
	RIFF_UNCLOSED, /* the size was never filled in (0, 8, -1, sox's own), and audio follows */
	RIFF_CUT,      /* the data chunk claims more than is there */
	RIFF_EXCESS,   /* the data chunk claims less: what follows it are not chunks */
	RIFF_BROKEN,   /* the chunks lead nowhere before the audio */
};

struct riff {
	enum riff_state state;
	bool rf64;
	bool mpeg;       /* the audio consists of MPEG frames, which mpeg.h counts */
	bool never_zero; /* no encoder of the codec writes a block of zeros, even of silence */
	uint16_t format_tag, channels, block_bytes, sample_bits;
	uint32_t sample_rate;
	uint32_t block_frames;  /* frames in a block of block_bytes; 0: not known */
	uint32_t fact_frames;   /* of a compressed codec, as the fact chunk says; 0: not said */
	uint64_t audio_at;      /* where the (first) audio begins; 0: none was found */
	uint64_t claimed_bytes; /* of audio; UINT64_MAX: the header says -1 */
	uint64_t present_bytes; /* of audio, as far as can be told */
};

/* 0; 1 when this is not a RIFF/WAVE or RF64/WAVE file. Errors of reading are in source->error. */
int riff_scan(struct source *source, struct riff *ret_riff);

/* How many frames the present bytes make. UINT64_MAX when the header does not tell. */
uint64_t riff_present_frames(const struct riff *riff);

/* Of so many frames in blocks of this many, how many are of the recording: the fact chunk tells,
 * where the file is whole and the two differ by less than a block. */
uint64_t riff_fact_frames(const struct riff *riff, uint64_t frames, uint64_t block_frames);

/* In riff_format.c. Reads the fmt chunk whose content begins there. */
void riff_format_read(struct source *source, uint64_t at, uint32_t size, struct riff *riff);

/* "wav/pcm_s16le", "rf64/g722"; the container alone where the codec is not known. */
void riff_format_name(const struct riff *riff, char ret_name[static PROBE_FORMAT_BYTES]);
