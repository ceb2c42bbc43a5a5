/* Lengths: of what was appended to, cut, filled with zeros, begun in the middle or chained, where
 * the header tells another one. Never "ok" with a part of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "daemon/probe/sniff.h"
#include "daemon/probe/sweep.h"
#include "tests/unit/support/probe_files.h"

#define FRAMES 160000 /* 20 s at 8 kHz */

/* A whole file in memory, of any size. */
struct bytes {
	uint8_t *p;
	size_t len;
};

static void bytes_free(struct bytes *bytes)
{
	free(bytes->p);
}

static void bytes_add(struct bytes *bytes, const void *p, size_t len)
{
	bytes->p = realloc(bytes->p, bytes->len + len + 1);
	assert_non_null(bytes->p);
	memcpy(bytes->p + bytes->len, p, len);
	bytes->len += len;
}

static struct probe_result judge(const struct bytes *bytes)
{
	_cleanup_close_ int fd = file_of(bytes->p, bytes->len);
	struct source source;
	struct probe_result result;

	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	return result;
}

static struct bytes written(int sf_format)
{
	_cleanup_close_ int fd = file_written(sf_format, FRAMES, WRITER_CLOSES);
	struct bytes bytes = {.p = NULL};
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	bytes.p = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes.p);
	assert_int_equal(pread(fd, bytes.p, (size_t)st.st_size, 0), st.st_size);
	bytes.len = (size_t)st.st_size;
	return bytes;
}

static void expect(const char *what, const struct bytes *bytes, enum probe_condition condition,
		uint64_t least, uint64_t most)
{
	struct probe_result result = judge(bytes);

	if (result.condition != condition || result.frames < least || result.frames > most)
		fail_msg("%s: %s, %lld frames, %s (%s); expected %s, %llu to %llu", what,
				probe_wire_condition_name(result.condition),
				(long long)result.frames, result.format, result.damage,
				probe_wire_condition_name(condition), (unsigned long long)least,
				(unsigned long long)most);
}

static const struct kind {
	const char *name;
	int sf_format;
	bool chains;     /* one file after the other is a file */
	bool followed;   /* its frames or pages are: zeros are found, at its end at least */
	unsigned coarse; /* frames of audio that may be lost or won where it is cut */
} kinds[] = {
		{"wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, false, false, 1},
		{"wav ulaw", SF_FORMAT_WAV | SF_FORMAT_ULAW, false, false, 1},
		{"wav gsm", SF_FORMAT_WAV | SF_FORMAT_GSM610, false, true, 320},
		{"wav ms_adpcm", SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, false, true, 2048},
		{"rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, false, false, 1},
		{"w64", SF_FORMAT_W64 | SF_FORMAT_PCM_16, false, false, 1},
		{"aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, false, false, 1},
		{"au", SF_FORMAT_AU | SF_FORMAT_PCM_16, false, false, 1},
		{"caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16, false, false, 1},
		{"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, false, true, 3 * 576},
		{"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, false, true, 4608},
		{"vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, true, true, FRAMES / 2},
		{"opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, true, true, 8000 + 160},
};

static void test_whole(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		_cleanup_(bytes_free) struct bytes whole = written(kinds[i].sf_format);
		expect(kinds[i].name, &whole, PROBE_OK, FRAMES, FRAMES);
	}
}

/* A bridge that appends writes a second file behind the first. */
static void test_appended(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		const struct kind *kind = &kinds[i];
		_cleanup_(bytes_free) struct bytes one = written(kind->sf_format);
		_cleanup_(bytes_free) struct bytes several = {.p = NULL};
		for (unsigned n = 1; n <= 3; n++) {
			bytes_add(&several, one.p, one.len);
			expect(kind->name, &several,
					n == 1 || kind->chains ? PROBE_OK : PROBE_DAMAGED,
					n * FRAMES, n * FRAMES);
		}
	}
}

static uint64_t at_least(uint64_t frames, const struct kind *kind)
{
	return frames > kind->coarse ? frames - kind->coarse : 1;
}

/* Cut at several places; the same filled up with zeros, as a file system does after a power loss;
 * and the whole recording appended to what was cut, as a bridge does that starts again. */
static void test_cut(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		const struct kind *kind = &kinds[i];
		_cleanup_(bytes_free) struct bytes whole = written(kind->sf_format);
		for (unsigned percent = 30; percent < 100; percent += 15) {
			_cleanup_(bytes_free) struct bytes cut = {.p = NULL}, again = {.p = NULL};
			size_t len = whole.len * percent / 100;
			uint64_t frames = (uint64_t)FRAMES * percent / 100;
			bytes_add(&cut, whole.p, len);
			bytes_add(&again, whole.p, len);
			bytes_add(&again, whole.p, whole.len);
			/* The bytes of a header, and of a codec whose rate varies, are not spread
			 * evenly. */
			uint64_t slack = FRAMES / 50 + kind->coarse;
			expect(kind->name, &cut, PROBE_DAMAGED, frames > slack ? frames - slack : 1,
					frames + slack);
			uint64_t was = judge(&cut).frames;
			expect(kind->name, &again, PROBE_DAMAGED, FRAMES + at_least(was, kind),
					FRAMES + was + kind->coarse);
			if (!kind->followed)
				continue;
			memset(whole.p + len, 0, whole.len - len);
			expect(kind->name, &whole, PROBE_DAMAGED, at_least(was, kind),
					was + kind->coarse);
			memcpy(whole.p, again.p + len, whole.len);
		}
	}
}

/* One block of the disk in the middle was never written. */
static void test_hole(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		if (!kinds[i].followed || strncmp(kinds[i].name, "wav", 3) == 0)
			continue;
		_cleanup_(bytes_free) struct bytes whole = written(kinds[i].sf_format);
		memset(whole.p + whole.len / 2, 0, 4096);
		expect(kinds[i].name, &whole, PROBE_DAMAGED, 1, FRAMES - 1);
	}
}

/* Tags behind the audio are no part of it, and no damage. */
static void test_tags_behind(void **state)
{
	static const int sf_formats[] = {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III,
			SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
	uint8_t tag[128] = "TAGa title";

	for (size_t i = 0; i < ELEMENTSOF(sf_formats); i++) {
		_cleanup_(bytes_free) struct bytes whole = written(sf_formats[i]);
		bytes_add(&whole, tag, sizeof(tag));
		expect("with ID3v1", &whole, PROBE_OK, FRAMES, FRAMES);
	}
}

/* A frame of MPEG 1 layer III, mono, 48 kHz, of the bitrate with this index. */
static void put_mpeg(struct bytes *bytes, unsigned index)
{
	static const unsigned kbits[] = {0, 32, 40, 48, 56, 64, 80, 96, 112, 128};
	uint8_t frame[400] = {0xff, 0xfb, (uint8_t)(index << 4 | 4), 0xc0};

	memset(frame + 4, 0x5a, sizeof(frame) - 4);
	bytes_add(bytes, frame, 144 * kbits[index] / 48);
}

/* Without a tag, and with a bitrate that varies: the first frame's tells nothing of the length. */
static void test_untagged_mp3(void **state)
{
	_cleanup_(bytes_free) struct bytes mp3 = {.p = NULL};

	for (unsigned n = 0; n < 500; n++)
		put_mpeg(&mp3, n < 20 ? 9 : 1 + n % 9);
	expect("vbr", &mp3, PROBE_OK, 500 * 1152, 500 * 1152);
	mp3.len -= 7;
	expect("vbr, cut", &mp3, PROBE_DAMAGED, 499 * 1152, 499 * 1152);
	mp3.len += 7;
	/* Recorded from the middle of a frame on. */
	memmove(mp3.p, mp3.p + 100, mp3.len -= 100);
	expect("vbr, from its middle", &mp3, PROBE_OK, 499 * 1152, 499 * 1152);
	assert_string_equal(judge(&mp3).format, "mp3");
}

/* Fraunhofer's tag, in a frame of its own: this many frames by its count. */
static void put_vbri(struct bytes *bytes, uint32_t frames)
{
	size_t at = bytes->len + 36;

	put_mpeg(bytes, 9);
	memcpy(bytes->p + at, "VBRI", 4);
	memset(bytes->p + at + 4, 0, 14);
	for (int i = 0; i < 4; i++)
		bytes->p[at + 14 + (size_t)i] = (uint8_t)(frames >> (24 - 8 * i));
}

static void test_vbri(void **state)
{
	static const struct {
		uint32_t claimed;
		enum probe_condition condition;
	} cases[] = {{100, PROBE_OK}, {50, PROBE_DAMAGED}, {200, PROBE_DAMAGED}};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_(bytes_free) struct bytes mp3 = {.p = NULL};
		put_vbri(&mp3, cases[i].claimed);
		for (unsigned n = 0; n < 100; n++)
			put_mpeg(&mp3, 1 + n % 9);
		expect("VBRI", &mp3, cases[i].condition, 100 * 1152, 100 * 1152);
	}
}

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
	expect("speex", &pages.bytes, PROBE_OK, 80000, 80000);
	assert_string_equal(judge(&pages.bytes).format, "ogg/speex");
	assert_int_equal(judge(&pages.bytes).sample_rate, 8000);
	pages.sequence = 0;
	pages.serial = 8;
	put_speex_head(&pages);
	put_audio(&pages, 400000, 10, 8000, 4); /* recorded from its middle */
	expect("speex chain", &pages.bytes, PROBE_OK, 160000, 160000);
	pages.bytes.len -= 1;
	expect("speex chain, cut", &pages.bytes, PROBE_DAMAGED, 152000, 152000);
	bytes_free(&pages.bytes);
}

/* Never closed, in the middle of a chain and at its end. */
static void test_open_links(void **state)
{
	struct pages pages = {.serial = 7};

	put_speex_head(&pages);
	put_audio(&pages, 0, 10, 8000, 0);
	expect("open", &pages.bytes, PROBE_DAMAGED, 80000, 80000);
	pages.sequence = 0;
	put_speex_head(&pages);
	put_audio(&pages, 0, 1, 8000, 4);
	expect("open inside", &pages.bytes, PROBE_DAMAGED, 88000, 88000);
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
	expect("strays", &pages.bytes, PROBE_DAMAGED, PROBE_FRAMES_UNKNOWN, PROBE_FRAMES_UNKNOWN);
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
	expect("unplaced", &pages.bytes, PROBE_DAMAGED, PROBE_FRAMES_UNKNOWN, PROBE_FRAMES_UNKNOWN);
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
	expect("missing page", &pages.bytes, PROBE_DAMAGED, 72000, 72000);
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
	assert_int_equal(judge(&pages.bytes).frames, 10 * 57600 - 312);
	pages.serial = 2;
	pages.sequence = 0;
	put_opus_head(&pages);
	put_audio(&pages, 0, 1, 57600, 4);
	expect("opus chain", &pages.bytes, PROBE_OK, 11 * 57600 - 2 * 312, 11 * 57600 - 2 * 312);
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
		expect("ogg/flac", &pages.bytes, cases[i].condition, 80000, 80000);
		assert_string_equal(judge(&pages.bytes).format, "ogg/flac");
		bytes_free(&pages.bytes);
	}
}

static struct probe_result judge_sparse(const struct bytes *bytes, uint64_t size)
{
	_cleanup_close_ int fd = file_of(bytes->p, bytes->len);
	struct source source;
	struct probe_result result;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	assert_true(source.budget_bytes > 0);
	return result;
}

/* What cannot be read to its end gets no length, and no good word where its end is not right. */
static void test_too_long(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
		if (!kinds[i].followed || strncmp(kinds[i].name, "wav", 3) == 0)
			continue;
		_cleanup_(bytes_free) struct bytes whole = written(kinds[i].sf_format);
		struct probe_result result = judge_sparse(&whole, SWEEP_MAX_BYTES * 4);
		assert_int_equal(result.condition, PROBE_DAMAGED);
	}
}

/* A conference that outgrew the 32 bits of its header; its other half may be silence. */
static void test_wrapped_wav(void **state)
{
	struct builder b = {.len = 0};
	uint64_t bytes = (UINT64_C(1) << 32) + 32000;

	put_wav(&b, 32036, 32000);
	put_noise(&b, 16000);
	struct bytes start = {b.bytes, b.len};
	struct probe_result result = judge_sparse(&start, 44 + bytes);
	assert_int_equal(result.condition, PROBE_DAMAGED);
	assert_int_equal(result.frames, bytes / 2);
	assert_int_equal(result.recoverable_bytes, bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_whole),
			cmocka_unit_test(test_appended),
			cmocka_unit_test(test_cut),
			cmocka_unit_test(test_hole),
			cmocka_unit_test(test_tags_behind),
			cmocka_unit_test(test_untagged_mp3),
			cmocka_unit_test(test_vbri),
			cmocka_unit_test(test_speex),
			cmocka_unit_test(test_open_links),
			cmocka_unit_test(test_stray_pages),
			cmocka_unit_test(test_no_positions),
			cmocka_unit_test(test_missing_page),
			cmocka_unit_test(test_opus_clock),
			cmocka_unit_test(test_ogg_flac),
			cmocka_unit_test(test_too_long),
			cmocka_unit_test(test_wrapped_wav),
	};

	sniff_warm_up();
	return cmocka_run_group_tests_name("probe_stream", tests, NULL, NULL);
}
