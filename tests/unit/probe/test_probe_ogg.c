/* Ogg, page by page: chains, streams begun in the middle, pages that are missing or strange, and the
 * codecs that libsndfile does not know in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/sniff.h"
#include "tests/unit/support/probe_bytes.h"

/* Ogg pages, with one packet of each of these lengths. */
struct pages {
	struct bytes bytes;
	uint32_t serial, sequence;
};

static uint32_t ogg_sum(const uint8_t *p, size_t len)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc ^= (uint32_t)p[i] << 24;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
	}
	return crc;
}

static void put_page(struct pages *pages, uint8_t flags, int64_t granule, const uint8_t *packet,
		uint8_t len, uint8_t packets)
{
	uint8_t page[65536] = "OggS";
	size_t at = 27u + packets;

	page[5] = flags;
	put_le64(page + 6, (uint64_t)granule);
	put_le32(page + 14, pages->serial);
	put_le32(page + 18, pages->sequence++);
	page[26] = packets;
	memset(page + 27, len, packets);
	for (unsigned n = 0; n < packets; n++, at += len)
		memcpy(page + at, packet, len);
	put_le32(page + 22, ogg_sum(page, at));
	bytes_add(&pages->bytes, page, at);
}

static const uint8_t tags_packet[] = "OpusTags: whatever";

/* Speex, 8 kHz: packets of 160 samples. */
static void put_speex_head(struct pages *pages)
{
	uint8_t head[80] = "Speex   1.2";

	put_le32(head + 36, 8000);
	put_le32(head + 48, 1);
	put_le32(head + 56, 160);
	put_le32(head + 64, 1);
	put_page(pages, 2, 0, head, sizeof(head), 1);
	put_page(pages, 0, 0, tags_packet, sizeof(tags_packet), 1);
}

static void put_audio(struct pages *pages, uint64_t first, unsigned n, uint64_t page_samples,
		uint8_t last_flags)
{
	static const uint8_t packet[20] = {0x0b << 3, 1}; /* as Opus: one frame of 60 ms, SILK */
	uint8_t packets = (uint8_t)(page_samples % 2880 == 0 ? page_samples / 2880
							     : page_samples / 160);

	for (unsigned i = 1; i <= n; i++)
		put_page(pages, i == n ? last_flags : 0, (int64_t)(first + i * page_samples),
				packet, sizeof(packet), packets);
}

static void test_speex(void **state)
{
	struct pages pages = {.serial = 7};

	put_speex_head(&pages);
	put_audio(&pages, 0, 10, 8000, 4);
	bytes_expect("speex", &pages.bytes, PROBE_OK, 80000, 80000);
	assert_string_equal(bytes_judge(&pages.bytes).format, "ogg/speex");
	assert_int_equal(bytes_judge(&pages.bytes).sample_rate, 8000);
	pages.sequence = 0;
	pages.serial = 8;
	put_speex_head(&pages);
	put_audio(&pages, 400000, 10, 8000, 4); /* recorded from its middle */
	bytes_expect("speex chain", &pages.bytes, PROBE_OK, 160000, 160000);
	pages.bytes.len -= 1;
	bytes_expect("speex chain, cut", &pages.bytes, PROBE_DAMAGED, 152000, 152000);
	bytes_free(&pages.bytes);
}

/* Never closed, in the middle of a chain and at its end. */
static void test_open_links(void **state)
{
	struct pages pages = {.serial = 7};

	put_speex_head(&pages);
	put_audio(&pages, 0, 10, 8000, 0);
	bytes_expect("open", &pages.bytes, PROBE_DAMAGED, 80000, 80000);
	pages.sequence = 0;
	put_speex_head(&pages);
	put_audio(&pages, 0, 1, 8000, 4);
	bytes_expect("open inside", &pages.bytes, PROBE_DAMAGED, 88000, 88000);
	bytes_free(&pages.bytes);
}

/* Appended without its beginning: nothing tells what these pages hold, so no length is told. */
static void test_stray_pages(void **state)
{
	struct pages pages = {.serial = 7};

	put_speex_head(&pages);
	put_audio(&pages, 0, 5, 8000, 4);
	pages.serial = 8;
	put_audio(&pages, 0, 5, 8000, 4);
	bytes_expect("strays", &pages.bytes, PROBE_DAMAGED, PROBE_FRAMES_UNKNOWN,
			PROBE_FRAMES_UNKNOWN);
	bytes_free(&pages.bytes);
}

/* A writer that knows no positions: there is audio, and no telling how much. */
static void test_no_positions(void **state)
{
	static const uint8_t packet[20] = {0x58};
	struct pages pages = {.serial = 7};

	put_speex_head(&pages);
	for (unsigned n = 0; n < 5; n++)
		put_page(&pages, n == 4 ? 4 : 0, 0, packet, sizeof(packet), 50);
	bytes_expect("unplaced", &pages.bytes, PROBE_DAMAGED, PROBE_FRAMES_UNKNOWN,
			PROBE_FRAMES_UNKNOWN);
	bytes_free(&pages.bytes);
}

/* The clock goes on over a page that is missing; its audio is not there. */
static void test_missing_page(void **state)
{
	struct pages pages = {.serial = 7};

	put_speex_head(&pages);
	put_audio(&pages, 0, 5, 8000, 0);
	pages.sequence++;
	put_audio(&pages, 48000, 4, 8000, 4);
	bytes_expect("missing page", &pages.bytes, PROBE_DAMAGED, 72000, 72000);
	bytes_free(&pages.bytes);
}

static void put_opus_head(struct pages *pages)
{
	uint8_t head[19] = "OpusHead\1\1";

	head[10] = 0x38; /* 312 samples to skip */
	head[11] = 1;
	put_le32(head + 12, 48000);
	put_page(pages, 2, 0, head, sizeof(head), 1);
	put_page(pages, 0, 0, tags_packet, sizeof(tags_packet), 1);
}

/* RFC 7845 section 4.5: what was recorded from the middle of a stream keeps its clock. */
static void test_opus_clock(void **state)
{
	struct pages pages = {.serial = 1};

	put_opus_head(&pages);
	put_audio(&pages, 48000u * 3600, 10, 48000 * 6 / 5, 4);
	/* libsndfile may not open packets of nothing: the length is right whether it does or not. */
	assert_int_equal(bytes_judge(&pages.bytes).frames, 10 * 57600 - 312);
	pages.serial = 2;
	pages.sequence = 0;
	put_opus_head(&pages);
	put_audio(&pages, 0, 1, 57600, 4);
	bytes_expect("opus chain", &pages.bytes, PROBE_OK, 11 * 57600 - 2 * 312,
			11 * 57600 - 2 * 312);
	bytes_free(&pages.bytes);
}

/* FLAC in Ogg, 8 kHz mono, blocks of 4000: this many samples by its header. */
static void put_flac_head(struct pages *pages, uint32_t total)
{
	uint8_t head[51] = "\177FLAC\1\0\0\1fLaC\0\0\0\42";

	head[17] = head[19] = 4000 >> 8;
	head[18] = head[20] = 4000 & 0xff;
	head[27] = 8000 >> 12;
	head[28] = 8000 >> 4 & 0xff;
	head[29] = (8000 & 15) << 4; /* mono, and the first of 15 in five bits */
	head[30] = 0xf0;
	for (int i = 0; i < 4; i++)
		head[31 + i] = (uint8_t)(total >> (24 - 8 * i));
	put_page(pages, 2, 0, head, sizeof(head), 1);
	put_page(pages, 0, 0, tags_packet, sizeof(tags_packet), 1);
}

static void test_ogg_flac(void **state)
{
	static const struct {
		uint32_t total;
		enum probe_condition condition;
	} cases[] = {{80000, PROBE_OK}, {0, PROBE_OK}, {40000, PROBE_DAMAGED},
			{160000, PROBE_DAMAGED}};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct pages pages = {.serial = 3};
		put_flac_head(&pages, cases[i].total);
		put_audio(&pages, 0, 10, 8000, 4);
		bytes_expect("ogg/flac", &pages.bytes, cases[i].condition, 80000, 80000);
		assert_string_equal(bytes_judge(&pages.bytes).format, "ogg/flac");
		bytes_free(&pages.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_speex),
			cmocka_unit_test(test_open_links),
			cmocka_unit_test(test_stray_pages),
			cmocka_unit_test(test_no_positions),
			cmocka_unit_test(test_missing_page),
			cmocka_unit_test(test_opus_clock),
			cmocka_unit_test(test_ogg_flac),
	};

	sniff_warm_up();
	return cmocka_run_group_tests_name("probe_ogg", tests, NULL, NULL);
}
