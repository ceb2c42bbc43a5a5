/* Reading a file from its beginning to its end, once: for containers whose frames or pages have to
 * be followed one by one before their length is known (MP3, FLAC, Ogg), and for padding.
 *
 * A sweep reads whole windows, each byte about once, and has a budget of its own beside that of
 * the source: SWEEP_MAX_BYTES, some hours of compressed speech. Past it the file reads as if it
 * ended, and gave_up says so: whoever sweeps must then say "length not known". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/probe/source.h"

#define SWEEP_MAX_BYTES    (UINT64_C(256) << 20)
#define SWEEP_WINDOW_BYTES ((size_t)1 << 20)
#define SWEEP_LEAST_MAX    ((size_t)64 << 10)

struct sweep {
	struct source *source; /* borrowed */
	uint8_t *window;
	uint64_t at; /* of the window, in the file */
	size_t len;
	uint64_t left_bytes;
	bool gave_up;
};

/* 0; -ENOMEM. sweep_end() frees the window. */
int sweep_start(struct source *source, struct sweep *ret_sweep);
void sweep_end(struct sweep *sweep);

/* The bytes at this offset, *ret_len of them: at least `least` (up to SWEEP_LEAST_MAX), unless the
 * file ends before or the budget does. Valid until the next call. Never NULL. */
const uint8_t *sweep_at(struct sweep *sweep, uint64_t offset, size_t least, size_t *ret_len);

/* Whether everything from this offset to the end is zero. Not when it is too much to look at. */
bool sweep_all_zero(struct source *source, uint64_t offset);

/* Where, from this offset on, a file begins that was appended to what was cut: these four bytes,
 * and those at type_at from them. 0 when none is found. */
uint64_t sweep_find_magic(struct source *source, uint64_t at, const char magic[static 4],
		const char type[static 4], size_t type_at);
