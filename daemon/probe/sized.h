/* Containers beside WAV whose header names the audio's size: Sony Wave64, AIFF and AIFF-C, Sun/NeXT
 * AU, and CAF. A writer fills the size in when it closes the file, so that it tells a whole file
 * from one whose writer was killed; libsndfile takes what it finds and does not tell.
 *
 * Sony Wave64 File Format (Sonic Foundry, 2003); AIFF 1.3 (Apple, 1989); Audio Interchange File
 * Format "AIFC" (Apple, 1991); the AU header of audio.h (Sun); Core Audio Format 1.0 (Apple). Reads
 * headers only, and at most RIFF_CHUNKS_MAX of them. */
#pragma once

#include <stdint.h>

#include "daemon/probe/riff.h"
#include "daemon/probe/source.h"

#define SIZED_CODEC_BYTES 16

struct sized {
	const char *container;         /* "w64", "aiff", "au", "caf" */
	char codec[SIZED_CODEC_BYTES]; /* "/pcm_s16be"; "": not known from here */
	enum riff_state state;         /* with "chunk" read as what the container has */
	uint32_t channels, sample_rate;
	uint32_t block_bytes;   /* of a frame of uncompressed audio; 0: not known from here */
	uint64_t claimed_bytes; /* of audio */
	uint64_t present_bytes; /* of audio, as far as can be told */
};

/* 0; 1 when it is none of these. Codec, channels, rate and block are only filled in for CAF, which
 * libsndfile does not open when its audio chunk has no size, and for AIFF, which it does not open
 * when another one was appended. */
int sized_scan(struct source *source, struct sized *ret_sized);
