/* Fuzz target: the probe's own scanners, each of which looks at every input. None finds more audio
 * than the file has bytes, and none reads more than its budget. The planted bug: a file's size is
 * learned before it is cut. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/flac.h"
#include "daemon/probe/media.h"
#include "daemon/probe/mpeg.h"
#include "daemon/probe/ogg.h"
#include "daemon/probe/ogg_page.h"
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

static void check_length(uint64_t frames)
{
	FUZZ_REQUIRE(frames <= INT64_MAX || frames == PROBE_FRAMES_UNKNOWN);
}

static void scan_ogg(struct source source, size_t size)
{
	struct ogg ogg;

	if (ogg_scan(&source, &ogg) == 0) {
		FUZZ_REQUIRE(ogg.whole_bytes > 0 && ogg.whole_bytes <= size);
		FUZZ_REQUIRE(ogg.links > 0 || ogg.codec.kind == OGG_CODEC_NONE);
		FUZZ_REQUIRE(ogg.open_links <= ogg.links);
		check_length(ogg.frames);
	}
	check_source(&source);
}

static void scan_mpeg(struct source source, uint64_t at, size_t size)
{
	struct mpeg mpeg;

	if (mpeg_scan(&source, at, size, &mpeg) == 0) {
		FUZZ_REQUIRE(mpeg.present_bytes <= size);
		FUZZ_REQUIRE(mpeg.foreign_bytes <= mpeg.present_bytes);
		FUZZ_REQUIRE(mpeg.frames <= size / 24);
		check_length(mpeg.samples);
	}
	check_source(&source);
}

static void scan_flac(struct source source, size_t size)
{
	struct flac flac;

	if (flac_scan(&source, &flac) == 0) {
		FUZZ_REQUIRE(flac.audio_bytes <= size);
		FUZZ_REQUIRE(flac.frames <= size / 8);
		check_length(flac.samples);
	}
	check_source(&source);
}

/* The same with the right sum in every page: chance does not find one. */
static void scan_summed_ogg(const uint8_t *data, size_t size)
{
	struct ogg_page page;
	uint8_t *copy = malloc(size + 1);

	FUZZ_REQUIRE(copy != NULL);
	memcpy(copy, data, size);
	for (size_t at = 0; at + OGG_PAGE_HEAD_BYTES < size; at++) {
		if (memcmp(copy + at, "OggS", 4) != 0)
			continue;
		size_t segments = copy[at + OGG_PAGE_HEAD_BYTES - 1];
		size_t bytes = OGG_PAGE_HEAD_BYTES + segments;
		for (size_t i = 0; i < segments && at + OGG_PAGE_HEAD_BYTES + i < size; i++)
			bytes += copy[at + OGG_PAGE_HEAD_BYTES + i];
		if (bytes > size - at)
			continue;
		put_le32(copy + at + OGG_PAGE_SUM_AT, ogg_page_sum(copy + at, bytes));
		FUZZ_REQUIRE(copy[at + 4] != 0 ||
				ogg_page_read(copy + at, size - at, &page) == OGG_PAGE_WHOLE);
	}
	scan_ogg(open_source(copy, size), size);
	free(copy);
}

/* One page alone, where the input begins with one. */
static void scan_page(const uint8_t *data, size_t size)
{
	struct ogg_packet packet = {.next_segment = 0};
	struct ogg_codec codec;
	struct ogg_page page;

	if (ogg_page_read(data, size, &page) == OGG_PAGE_WHOLE) {
		FUZZ_REQUIRE(page.bytes <= size);
		while (ogg_page_packet(&page, &packet))
			FUZZ_REQUIRE(packet.bytes + packet.len <= data + page.bytes);
	}
	/* Packets too, without the page that would have to have a right sum. */
	if (ogg_codec_read(data, size, &codec) == 0) {
		FUZZ_REQUIRE(codec.clock > 0);
		(void)ogg_codec_samples(&codec, data, size);
	}
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
	scan_page(data, size);
	scan_mpeg(source, 0, size);
	scan_flac(source, size);
	scan_media(source, size, media_boxes_scan);
	scan_media(source, size, media_ebml_scan);
	scan_media(source, size, media_mjr_scan);
	scan_summed_ogg(data, size); /* last: it takes the file of the others */
	return 0;
}
