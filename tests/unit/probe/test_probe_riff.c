/* The chunk parser, on headers made by hand: every way in which bridges leave a WAV, and ways in
 * which only an attacker would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/probe/riff.h"
#include "tests/unit/support/probe_files.h"

static int scan_bytes(const void *bytes, size_t len, struct riff *ret_riff)
{
	_cleanup_close_ int fd = file_of(bytes, len);
	struct source source;

	assert_int_equal(source_init(fd, &source), 0);
	int r = riff_scan(&source, ret_riff);
	assert_int_equal(source.error, 0);
	return r;
}

static struct riff scan(const struct builder *builder)
{
	struct riff riff;

	assert_int_equal(scan_bytes(builder->bytes, builder->len, &riff), 0);
	return riff;
}

static void expect(const struct builder *builder, enum riff_state state, uint64_t present_bytes)
{
	struct riff riff = scan(builder);

	assert_int_equal(riff.state, state);
	assert_int_equal(riff.present_bytes, present_bytes);
}

static void test_complete(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 1000, 1000);
	put_noise(&b, 1000);
	expect(&b, RIFF_COMPLETE, 1000);
	struct riff riff = scan(&b);
	assert_int_equal(riff.channels, 1);
	assert_int_equal(riff.sample_rate, 8000);
	assert_int_equal(riff_present_frames(&riff), 500);
}

/* What may follow complete audio: chunks, padding, the odd byte, less than a chunk header. */
static void test_complete_with_tail(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 0, 999);
	put_noise(&b, 999);
	expect(&b, RIFF_COMPLETE, 999);
	put_fill(&b, 0, 1);
	put_id(&b, "LIST");
	put_u32(&b, 4);
	put_id(&b, "INFO");
	expect(&b, RIFF_COMPLETE, 999);
	put_noise(&b, 7);
	expect(&b, RIFF_COMPLETE, 999);
	b.len -= 7;
	put_fill(&b, 0, 20000);
	expect(&b, RIFF_COMPLETE, 999);
}

/* A writer that updated its header once, and was killed eleven seconds later: the recording is
 * silent where the header's second ends, and at its own end. */
static void test_excess_silence(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 1000, 1000);
	put_noise(&b, 1000);
	put_fill(&b, 0, 6000);
	expect(&b, RIFF_COMPLETE, 1000); /* zeros and nothing else: padding */
	put_noise(&b, 20);
	expect(&b, RIFF_EXCESS, 7020);
	put_fill(&b, 0, 6000);
	expect(&b, RIFF_EXCESS, 13020);
	assert_int_equal(riff_present_frames(&(struct riff){.block_bytes = 2,
					 .block_frames = 1,
					 .present_bytes = 13020}),
			6510);
}

/* Whole files, and a further audio chunk, behind the first: their headers are no audio. */
static void test_appended(void **state)
{
	struct builder b = {.len = 0};

	for (unsigned n = 1; n <= 3; n++) {
		put_wav(&b, 36 + 1000, 1000);
		put_noise(&b, 1000);
		expect(&b, n == 1 ? RIFF_COMPLETE : RIFF_EXCESS, n * 1000);
	}
	put_id(&b, "data");
	put_u32(&b, 500);
	put_noise(&b, 500);
	expect(&b, RIFF_EXCESS, 3500);
	put_wav(&b, 0, 0); /* one more, that was never closed */
	put_noise(&b, 300);
	expect(&b, RIFF_EXCESS, 3800);
}

/* One that was cut, and a whole one that no chunk leads to. */
static void test_appended_to_cut(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 1000, 1000);
	put_noise(&b, 601);
	put_wav(&b, 36 + 1000, 1000);
	put_noise(&b, 1000);
	expect(&b, RIFF_EXCESS, 1601);
}

/* What each codec's blocks hold, where no size tells: tag, channels, block, bits, samples. */
static void test_codecs(void **state)
{
	static const struct {
		uint16_t tag, channels, block, bits, extension;
		uint64_t frames; /* of 6500 bytes */
		const char *name;
	} cases[] = {
			{1, 1, 2, 16, 0, 3250, "wav/pcm_s16le"},
			{1, 2, 4, 16, 0, 1625, "wav/pcm_s16le"},
			{1, 1, 1, 16, 0, 3250, "wav/pcm_s16le"}, /* a wrong block */
			{1, 1, 1, 8, 0, 6500, "wav/pcm_u8"},
			{1, 1, 4, 24, 0, 1625, "wav/pcm_s24le"}, /* 24 bits in 32 */
			{3, 1, 4, 32, 0, 1625, "wav/pcm_f32le"},
			{7, 2, 2, 8, 0, 3250, "wav/ulaw"},
			{0x31, 1, 65, 0, 320, 32000, "wav/gsm"},
			{0x31, 1, 65, 0, 65535, 32000, "wav/gsm"}, /* a lie */
			{0x11, 1, 256, 4, 505, 25 * 505, "wav/ima_adpcm"},
			{0x11, 1, 256, 4, 65535, 25 * 505, "wav/ima_adpcm"}, /* a lie */
			{0x02, 1, 256, 4, 500, 25 * 500, "wav/ms_adpcm"},
			{0x45, 1, 1, 4, 0, 13000, "wav/g726"},
			{0x64, 1, 1, 2, 0, 26000, "wav/g726"},
			{0x65, 1, 1, 4, 0, 13000, "wav/g722"},
			{0x28f, 1, 1, 4, 0, 13000, "wav/g722"},
			{0x1234, 1, 1, 8, 0, UINT64_MAX, "wav"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct builder b = {.len = 0};
		char name[PROBE_FORMAT_BYTES];
		put_id(&b, "RIFF");
		put_u32(&b, 0);
		put_id(&b, "WAVE");
		put_id(&b, "fmt ");
		put_u32(&b, 20);
		put_u16(&b, cases[i].tag);
		put_u16(&b, cases[i].channels);
		put_u32(&b, 8000);
		put_u32(&b, 0);
		put_u16(&b, cases[i].block);
		put_u16(&b, cases[i].bits);
		put_u16(&b, 2);
		put_u16(&b, cases[i].extension);
		put_id(&b, "data");
		put_u32(&b, 0);
		put_noise(&b, 6500);
		struct riff riff = scan(&b);
		assert_int_equal(riff.state, RIFF_UNCLOSED);
		assert_int_equal(riff_present_frames(&riff), cases[i].frames);
		riff_format_name(&riff, name);
		assert_string_equal(name, cases[i].name);
	}
}

/* Janus counts its header in, when it closes; a file that was cut to that size has another RIFF
 * size. */
static void test_complete_by_janus(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 1000, 1044);
	put_noise(&b, 1000);
	expect(&b, RIFF_COMPLETE, 1000);
	b.len = 0;
	put_wav(&b, 36 + 1044, 1044);
	put_noise(&b, 1000);
	expect(&b, RIFF_CUT, 1000);
}

/* Asterisk until close (0/0), a killed libsndfile writer (8/0), ffmpeg (-1/-1). */
static void test_unclosed(void **state)
{
	static const uint32_t sizes[][2] = {{0, 0}, {8, 0}, {36, 0}, {UINT32_MAX, UINT32_MAX}};

	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		struct builder b = {.len = 0};
		put_wav(&b, sizes[i][0], sizes[i][1]);
		put_noise(&b, 4000);
		expect(&b, RIFF_UNCLOSED, 4000);
		struct riff riff = scan(&b);
		assert_int_equal(riff_present_frames(&riff), 2000);
	}
}

/* A muted conference: zeros are audio there, not padding. */
static void test_unclosed_silence(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 0, 0);
	put_fill(&b, 0, 4000);
	expect(&b, RIFF_UNCLOSED, 4000);
}

static void test_no_audio(void **state)
{
	struct builder b = {.len = 0};
	struct riff riff;

	put_wav(&b, 36, 0);
	expect(&b, RIFF_NO_AUDIO, 0);
	/* Every header that was cut while it was written. */
	for (size_t len = 12; len < b.len; len++) {
		assert_int_equal(scan_bytes(b.bytes, len, &riff), 0);
		assert_int_equal(riff.state, RIFF_NO_AUDIO);
	}
	put_id(&b, "LIST");
	put_u32(&b, 4);
	put_id(&b, "INFO");
	expect(&b, RIFF_NO_AUDIO, 0);
}

static void test_cut(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 5000, 5000);
	put_noise(&b, 4999);
	expect(&b, RIFF_CUT, 4999);
	assert_int_equal(scan(&b).claimed_bytes, 5000);
	put_noise(&b, 1);
	expect(&b, RIFF_COMPLETE, 5000);
}

/* A writer that updated its header now and then, and died in between. */
static void test_excess(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 1000, 1000);
	put_noise(&b, 3000);
	expect(&b, RIFF_EXCESS, 3000);
}

static void test_not_riff(void **state)
{
	struct riff riff;

	assert_int_equal(scan_bytes("", 0, &riff), 1);
	assert_int_equal(scan_bytes("RIFF\0\0\0\0WAV", 11, &riff), 1);
	assert_int_equal(scan_bytes("RIFF\0\0\0\0AVI LIST", 16, &riff), 1);
	assert_int_equal(scan_bytes("OggS\0\0\0\0WAVEfmt ", 16, &riff), 1);
}

static void put_rf64(struct builder *b, uint32_t ds64_size, uint64_t data_size)
{
	struct builder wav = {.len = 0};

	put_wav(&wav, 0, UINT32_MAX);
	put_id(b, "RF64");
	put_u32(b, UINT32_MAX);
	put_id(b, "WAVE");
	put_id(b, "ds64");
	put_u32(b, ds64_size);
	put_u64(b, 1);
	put_u64(b, data_size);
	put_u64(b, 0);
	put_fill(b, 0, ds64_size > 24 ? ds64_size - 24 : 0);
	memcpy(b->bytes + b->len, wav.bytes + 12, wav.len - 12);
	b->len += wav.len - 12;
}

static void test_rf64(void **state)
{
	static const struct {
		uint64_t size;
		enum riff_state state;
	} cases[] = {{600, RIFF_COMPLETE}, {601, RIFF_CUT}, {0, RIFF_UNCLOSED},
			{UINT64_MAX, RIFF_UNCLOSED}, {UINT64_MAX - 1, RIFF_CUT},
			{200, RIFF_EXCESS}};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct builder b = {.len = 0};
		put_rf64(&b, 28, cases[i].size);
		put_noise(&b, 600);
		expect(&b, cases[i].state, 600);
		assert_true(scan(&b).rf64);
	}
}

static void test_blocks(void **state)
{
	struct riff riff = {.block_bytes = 65, .block_frames = 320, .present_bytes = 1300};

	assert_int_equal(riff_present_frames(&riff), 6400);
	riff.present_bytes = 1364; /* a block that is not whole does not count */
	assert_int_equal(riff_present_frames(&riff), 6400);
	riff.block_bytes = 0;
	assert_true(riff_present_frames(&riff) == UINT64_MAX);
	riff = (struct riff){
			.block_bytes = 1, .block_frames = 0xffff, .present_bytes = INT64_MAX / 2};
	assert_true(riff_present_frames(&riff) == UINT64_MAX);
}

/* A chunk list without end, and chunks that lead beyond the file. */
static void test_hostile_chunks(void **state)
{
	struct builder b = {.len = 0}, c = {.len = 0};

	put_id(&b, "RIFF");
	put_u32(&b, 0);
	put_id(&b, "WAVE");
	c = b;
	for (int i = 0; i < 4000; i++)
		put_u64(&b, 0);
	expect(&b, RIFF_BROKEN, 0);
	put_id(&c, "junk");
	put_u32(&c, UINT32_MAX);
	put_noise(&c, 3000);
	expect(&c, RIFF_BROKEN, 0);
}

/* A tail of more chunks than anyone writes is no tail. */
static void test_hostile_tail(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 0, 2);
	put_noise(&b, 2);
	for (int i = 0; i < 4000; i++) {
		put_id(&b, "junk");
		put_u32(&b, 0);
	}
	assert_int_equal(scan(&b).state, RIFF_EXCESS);
}

/* Whatever one byte of the header becomes, the parser ends and claims no more than there is. */
static void test_every_byte(void **state)
{
	struct builder good = {.len = 0};

	put_rf64(&good, 28, 600);
	put_noise(&good, 600);
	for (size_t at = 0; at < 100; at++) {
		for (unsigned value = 0; value < 256; value += 5) {
			struct riff riff;
			uint8_t was = good.bytes[at];
			good.bytes[at] = (uint8_t)value;
			if (scan_bytes(good.bytes, good.len, &riff) == 0) {
				assert_true(riff.present_bytes <= good.len);
				assert_true(riff.state <= RIFF_BROKEN);
			}
			good.bytes[at] = was;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_complete),
			cmocka_unit_test(test_complete_with_tail),
			cmocka_unit_test(test_excess_silence),
			cmocka_unit_test(test_appended),
			cmocka_unit_test(test_appended_to_cut),
			cmocka_unit_test(test_codecs),
			cmocka_unit_test(test_complete_by_janus),
			cmocka_unit_test(test_unclosed),
			cmocka_unit_test(test_unclosed_silence),
			cmocka_unit_test(test_no_audio),
			cmocka_unit_test(test_cut),
			cmocka_unit_test(test_excess),
			cmocka_unit_test(test_not_riff),
			cmocka_unit_test(test_rf64),
			cmocka_unit_test(test_blocks),
			cmocka_unit_test(test_hostile_chunks),
			cmocka_unit_test(test_hostile_tail),
			cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests_name("probe_riff", tests, NULL, NULL);
}
