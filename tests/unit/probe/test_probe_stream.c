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

#include "base/cleanup.h"
#include "daemon/probe/sniff.h"
#include "daemon/probe/sweep.h"
#include "tests/unit/support/probe_bytes.h"
#include "tests/unit/support/probe_files.h"

#define FRAMES 160000 /* 20 s at 8 kHz */

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
		bytes_expect(kinds[i].name, &whole, PROBE_OK, FRAMES, FRAMES);
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
			bytes_expect(kind->name, &several,
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
			bytes_expect(kind->name, &cut, PROBE_DAMAGED,
					frames > slack ? frames - slack : 1, frames + slack);
			uint64_t was = bytes_judge(&cut).frames;
			bytes_expect(kind->name, &again, PROBE_DAMAGED,
					FRAMES + at_least(was, kind), FRAMES + was + kind->coarse);
			if (!kind->followed)
				continue;
			memset(whole.p + len, 0, whole.len - len);
			bytes_expect(kind->name, &whole, PROBE_DAMAGED, at_least(was, kind),
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
		bytes_expect(kinds[i].name, &whole, PROBE_DAMAGED, 1, FRAMES - 1);
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
		bytes_expect("with ID3v1", &whole, PROBE_OK, FRAMES, FRAMES);
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
	bytes_expect("vbr", &mp3, PROBE_OK, 500 * 1152, 500 * 1152);
	mp3.len -= 7;
	bytes_expect("vbr, cut", &mp3, PROBE_DAMAGED, 499 * 1152, 499 * 1152);
	mp3.len += 7;
	/* Recorded from the middle of a frame on. */
	memmove(mp3.p, mp3.p + 100, mp3.len -= 100);
	bytes_expect("vbr, from its middle", &mp3, PROBE_OK, 499 * 1152, 499 * 1152);
	assert_string_equal(bytes_judge(&mp3).format, "mp3");
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
		bytes_expect("VBRI", &mp3, cases[i].condition, 100 * 1152, 100 * 1152);
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
			cmocka_unit_test(test_too_long),
			cmocka_unit_test(test_wrapped_wav),
	};

	sniff_warm_up();
	return cmocka_run_group_tests_name("probe_stream", tests, NULL, NULL);
}
