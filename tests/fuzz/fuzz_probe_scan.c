/* Fuzz target: the probe's own scanners, each of which looks at every input. None finds more audio
 * than the file has bytes, and none reads more than its budget. The planted bug: a file's size is
 * learned before it is cut. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/flac.h"
#include "daemon/probe/media.h"
#include "daemon/probe/mp3.h"
#include "daemon/probe/ogg.h"
#include "daemon/probe/riff.h"
#include "daemon/probe/sized.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static struct source open_source(const uint8_t *data, size_t size)
{
	struct source source;

	FUZZ_REQUIRE(source_init(fuzz_file(data, size), &source) == 0);
#ifdef FUZZ_PLANTED_BUG
	source.size_bytes += 4096;
#endif
	return source;
}

static void check_source(const struct source *source)
{
	FUZZ_REQUIRE(source->error == 0);
	FUZZ_REQUIRE(source->budget_bytes <= SOURCE_BUDGET_BYTES);
}

static void scan_riff(struct source source, size_t size)
{
	struct riff riff;

	if (riff_scan(&source, &riff) == 0) {
		FUZZ_REQUIRE(riff.present_bytes <= size);
		(void)riff_present_frames(&riff);
	}
	check_source(&source);
}

static void scan_sized(struct source source, size_t size)
{
	struct sized sized;

	if (sized_scan(&source, &sized) == 0) {
		FUZZ_REQUIRE(sized.container && memchr(sized.codec, 0, sizeof(sized.codec)));
		FUZZ_REQUIRE(sized.present_bytes <= size);
	}
	check_source(&source);
}

static void scan_ogg(struct source source, size_t size)
{
	struct ogg_tail tail;

	if (ogg_scan(&source, &tail) == 0)
		FUZZ_REQUIRE(tail.whole_bytes <= size);
	check_source(&source);
}

static void scan_frames(struct source source, size_t size)
{
	struct source again = source;
	struct mp3_head head;

	if (mp3_scan(&source, &head) == 0)
		FUZZ_REQUIRE(head.present_bytes <= size);
	check_source(&source);
	FUZZ_REQUIRE(flac_audio_bytes(&again) <= size);
	check_source(&again);
}

static void scan_media(struct source source, size_t size,
		int (*scan)(struct source *source, struct media *ret_media))
{
	struct media media;

	if (scan(&source, &media) == 0) {
		FUZZ_REQUIRE(memchr(media.format, 0, sizeof(media.format)) && media.format[0]);
		FUZZ_REQUIRE(media.present_bytes <= size);
		FUZZ_REQUIRE(media.frames <= INT64_MAX || media.frames == PROBE_FRAMES_UNKNOWN);
	}
	check_source(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source source = open_source(data, size);

	scan_riff(source, size);
	scan_sized(source, size);
	scan_ogg(source, size);
	scan_frames(source, size);
	scan_media(source, size, media_boxes_scan);
	scan_media(source, size, media_ebml_scan);
	scan_media(source, size, media_mjr_scan);
	return 0;
}
