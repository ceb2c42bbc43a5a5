/* What must hold for every input of a scanner of containers. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/media.h"
#include "tests/fuzz/fuzz.h"

typedef int fuzz_media_scanner(struct source *source, struct media *ret_media);

/* False when the input is of another kind. */
static inline bool fuzz_media_scan_once(
		const uint8_t *data, size_t size, fuzz_media_scanner *scan, struct media *ret_media)
{
	struct source source;

	FUZZ_REQUIRE(source_init(fuzz_file(data, size), &source) == 0);
#ifdef FUZZ_PLANTED_BUG
	source.size_bytes += 4096;
#endif
	int r = scan(&source, ret_media);
	FUZZ_REQUIRE(source.error == 0);
	FUZZ_REQUIRE(source.budget_bytes <= SOURCE_BUDGET_BYTES);
	if (r != 0)
		return false;
	FUZZ_REQUIRE(memchr(ret_media->format, 0, sizeof(ret_media->format)));
	FUZZ_REQUIRE(ret_media->format[0]);
	FUZZ_REQUIRE(ret_media->present_bytes <= size);
	FUZZ_REQUIRE(ret_media->frames <= INT64_MAX || ret_media->frames == PROBE_FRAMES_UNKNOWN);
	return true;
}

/* The input as it is, and twice in one file, as somebody leaves it who appends. */
static inline void fuzz_media_scan(const uint8_t *data, size_t size, fuzz_media_scanner *scan)
{
	struct media once, twice;
	uint8_t *both;

	if (!fuzz_media_scan_once(data, size, scan, &once) || size == 0)
		return;
	both = malloc(2 * size);
	FUZZ_REQUIRE(both);
	memcpy(both, data, size);
	memcpy(both + size, data, size);
	FUZZ_REQUIRE(fuzz_media_scan_once(both, 2 * size, scan, &twice));
	free(both);
}
