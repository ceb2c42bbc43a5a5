/* libsndfile over a source: positioned, bounded reads instead of its own file access. */
#pragma once

#include <sndfile.h>
#include <stdint.h>

#include "base/reason.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/source.h"

struct audio {
	struct source *source; /* borrowed */
	uint64_t position;
	SNDFILE *file;
	SF_INFO info;
};

/* 0; -EINVAL when libsndfile does not open it, and the reason then is its sentence.
 * The struct must not move while open: libsndfile keeps its address. */
int audio_open(struct audio *audio, struct source *source, struct reason *reason);

void audio_close(struct audio *audio);

static inline void audio_close_p(struct audio *audio)
{
	audio_close(audio);
}

/* The count of frames, or PROBE_FRAMES_UNKNOWN (libsndfile says INT64_MAX). */
uint64_t audio_frames(const struct audio *audio);

/* Bytes of one frame of uncompressed audio; 0 for any other. */
uint32_t audio_block_bytes(const struct audio *audio);
