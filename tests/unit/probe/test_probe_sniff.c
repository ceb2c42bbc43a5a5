/* The judgement, on files that real writers made, finished and killed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/probe/sniff.h"
#include "tests/unit/support/probe_files.h"

#define SOUNDS       "/usr/share/asterisk/sounds/en_US_f_Allison"
#define AUDIO_FRAMES 160000 /* 20 s, enough for every encoder to have written some */

static struct probe_result judge(int fd)
{
	struct source source;
	struct probe_result result;

	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	return result;
}

static struct probe_result judge_bytes(const void *bytes, size_t len)
{
	_cleanup_close_ int fd = file_of(bytes, len);

	return judge(fd);
}

static void expect(const struct probe_result *result, enum probe_condition condition,
		const char *format, const char *damage)
{
	assert_string_equal(probe_wire_condition_name(result->condition),
			probe_wire_condition_name(condition));
	assert_string_equal(result->format, format);
	if (damage)
		assert_string_equal(result->damage, damage);
}

static const struct {
	int sf_format;
	const char *name;
	bool exact; /* the codec keeps the count of frames */
} formats[] = {
		{SF_FORMAT_WAV | SF_FORMAT_PCM_16, "wav/pcm_s16le", true},
		{SF_FORMAT_WAV | SF_FORMAT_PCM_U8, "wav/pcm_u8", true},
		{SF_FORMAT_WAV | SF_FORMAT_FLOAT, "wav/pcm_f32le", true},
		{SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, "wav/pcm_s24le", true},
		{SF_FORMAT_WAV | SF_FORMAT_ULAW, "wav/ulaw", true},
		{SF_FORMAT_WAV | SF_FORMAT_ALAW, "wav/alaw", true},
		{SF_FORMAT_WAV | SF_FORMAT_GSM610, "wav/gsm", true},
		{SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM, "wav/ima_adpcm", false},
		{SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, "wav/ms_adpcm", true},
		{SF_FORMAT_RF64 | SF_FORMAT_PCM_16, "rf64/pcm_s16le", true},
		{SF_FORMAT_W64 | SF_FORMAT_PCM_16, "w64/pcm_s16le", true},
		{SF_FORMAT_W64 | SF_FORMAT_GSM610, "w64/gsm", true},
		{SF_FORMAT_AIFF | SF_FORMAT_PCM_16, "aiff/pcm_s16be", true},
		{SF_FORMAT_AIFF | SF_FORMAT_ULAW, "aiff/ulaw", true},
		{SF_FORMAT_AU | SF_FORMAT_PCM_16, "au/pcm_s16be", true},
		{SF_FORMAT_CAF | SF_FORMAT_PCM_16, "caf/pcm_s16be", true},
		{SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "flac", true},
		{SF_FORMAT_OGG | SF_FORMAT_VORBIS, "ogg/vorbis", true},
		{SF_FORMAT_OGG | SF_FORMAT_OPUS, "ogg/opus", true},
		{SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, "mp3", true},
};

static void test_closed(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
		_cleanup_close_ int fd =
				file_written(formats[i].sf_format, AUDIO_FRAMES, WRITER_CLOSES);
		struct probe_result result = judge(fd);
		expect(&result, PROBE_OK, formats[i].name, "");
		assert_int_equal(result.channels, 1);
		assert_int_equal(result.sample_rate, 8000);
		if (formats[i].exact)
			assert_int_equal(result.frames, AUDIO_FRAMES);
		else
			assert_in_range(result.frames, AUDIO_FRAMES, AUDIO_FRAMES + 1024);
	}
}

static void test_killed(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
		_cleanup_close_ int fd =
				file_written(formats[i].sf_format, AUDIO_FRAMES, WRITER_DIES);
		struct probe_result result = judge(fd);
		expect(&result, PROBE_DAMAGED, formats[i].name, NULL);
		assert_true(strlen(result.damage) > 0);
		assert_true(result.recoverable_bytes > 0);
	}
}

/* How much is there, as far as the format lets one tell without decoding. */
static void test_killed_amount(void **state)
{
	_cleanup_close_ int wav =
			file_written(SF_FORMAT_WAV | SF_FORMAT_PCM_16, AUDIO_FRAMES, WRITER_DIES);
	_cleanup_close_ int gsm =
			file_written(SF_FORMAT_WAV | SF_FORMAT_GSM610, AUDIO_FRAMES, WRITER_DIES);
	_cleanup_close_ int flac =
			file_written(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, AUDIO_FRAMES, WRITER_DIES);
	struct probe_result result = judge(wav);

	expect(&result, PROBE_DAMAGED, "wav/pcm_s16le",
			"never closed: header gives no size, 320000 bytes of audio follow");
	assert_int_equal(result.frames, AUDIO_FRAMES);
	assert_int_equal(result.recoverable_bytes, 2 * AUDIO_FRAMES);
	result = judge(gsm);
	assert_int_equal(result.frames, AUDIO_FRAMES);
	result = judge(flac);
	expect(&result, PROBE_DAMAGED, "flac", NULL);
	assert_non_null(strstr(result.damage, "never closed: header gives no length"));
	assert_in_range(result.frames, AUDIO_FRAMES / 2, AUDIO_FRAMES); /* whole blocks */
}

static void test_no_audio(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
		_cleanup_close_ int fd = file_written(formats[i].sf_format, 0, WRITER_CLOSES);
		struct probe_result result = judge(fd);
		assert_string_equal(probe_wire_condition_name(result.condition), "empty");
		assert_int_equal(result.frames, 0);
	}
	struct probe_result result = judge_bytes("", 0);
	expect(&result, PROBE_EMPTY, "", "the file has no bytes");
}

/* A copy without its last third: disk full, or taken before it was finished. */
static void test_cut(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
		_cleanup_close_ int fd =
				file_written(formats[i].sf_format, AUDIO_FRAMES, WRITER_CLOSES);
		struct stat st;
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(ftruncate(fd, st.st_size * 2 / 3), 0);
		struct probe_result result = judge(fd);
		expect(&result, PROBE_DAMAGED, formats[i].name, NULL);
		assert_true(strlen(result.damage) > 0);
	}
}

static void test_header_shapes(void **state)
{
	struct builder b = {.len = 0};
	struct probe_result result;

	put_wav(&b, 36 + 5000, 5000);
	put_noise(&b, 4000);
	result = judge_bytes(b.bytes, b.len);
	expect(&result, PROBE_DAMAGED, "wav/pcm_s16le",
			"header claims 5000 bytes of audio, 4000 are there");
	assert_int_equal(result.frames, 2000);

	b.len = 0;
	put_wav(&b, UINT32_MAX, UINT32_MAX);
	put_noise(&b, 4000);
	result = judge_bytes(b.bytes, b.len);
	expect(&result, PROBE_DAMAGED, "wav/pcm_s16le",
			"never closed: header gives no size, 4000 bytes of audio follow");
	result = judge_bytes(b.bytes, 30);
	expect(&result, PROBE_EMPTY, "wav", "header only, no audio");
}

/* A WAV whose container is sound and whose codec libsndfile does not know (G.722). */
static void test_unknown_codec(void **state)
{
	struct builder b = {.len = 0};

	put_wav(&b, 36 + 1000, 1000);
	put_noise(&b, 1000);
	b.bytes[20] = 0x8f;
	b.bytes[21] = 0x02;
	struct probe_result result = judge_bytes(b.bytes, b.len);
	assert_string_equal(probe_wire_condition_name(result.condition), "unprobed");
	assert_true(strlen(result.damage) > 0);
}

/* libsndfile repeats what an AU header says of its sample rate, negative ones included. */
static void test_implausible_rate(void **state)
{
	static const uint8_t rates[][4] = {{0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}};

	for (size_t i = 0; i < ELEMENTSOF(rates); i++) {
		_cleanup_close_ int fd =
				file_written(SF_FORMAT_AU | SF_FORMAT_PCM_16, 8000, WRITER_CLOSES);
		assert_int_equal(pwrite(fd, rates[i], 4, 16), 4);
		struct probe_result result = judge(fd), back;
		uint8_t record[PROBE_RESULT_BYTES];
		assert_true(result.condition != PROBE_OK);
		assert_int_equal(result.sample_rate, 0);
		probe_wire_encode_result(&result, record);
		assert_int_equal(probe_wire_decode_result(record, &back), 0);
	}
}

static void test_foreign(void **state)
{
	static const char mp4[] = "\0\0\0\x1c"
				  "ftypisom\0\0\2\0isomiso2mp41\0\0\0\x08"
				  "free";
	struct builder b = {.len = 0};
	struct probe_result result = judge_bytes("just a text named .wav\n", 23);

	expect(&result, PROBE_UNPROBED, "", NULL);
	result = judge_bytes(mp4, sizeof(mp4) - 1);
	expect(&result, PROBE_EMPTY, "mp4", NULL);
	put_fill(&b, 0xd5, 8000); /* raw A-law silence */
	result = judge_bytes(b.bytes, b.len);
	expect(&result, PROBE_UNPROBED, "", NULL);
	b.len = 0;
	put_fill(&b, 0xff, 8000); /* raw mu-law silence */
	result = judge_bytes(b.bytes, b.len);
	expect(&result, PROBE_UNPROBED, "", NULL);
	b.len = 0;
	put_fill(&b, 0, 8000); /* what a power loss leaves of unsynced pages */
	result = judge_bytes(b.bytes, b.len);
	expect(&result, PROBE_UNPROBED, "", NULL);
}

/* ffmpeg and LAME reserve the first frame of an MP3 for the length, and fill it in at the end. */
static void test_mp3_placeholder(void **state)
{
	_cleanup_close_ int fd = file_written(
			SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, AUDIO_FRAMES, WRITER_CLOSES);
	uint8_t start[64], *xing;

	assert_int_equal(pread(fd, start, sizeof(start), 0), sizeof(start));
	xing = memmem(start, sizeof(start), "Xing", 4);
	if (!xing)
		xing = memmem(start, sizeof(start), "Info", 4);
	assert_non_null(xing);
	memset(xing + 8, 0, 8); /* as ffmpeg leaves it: the tag, no counts */
	assert_int_equal(pwrite(fd, start, sizeof(start), 0), sizeof(start));
	struct probe_result result = judge(fd);
	expect(&result, PROBE_DAMAGED, "mp3", NULL);
	assert_int_equal(result.frames, AUDIO_FRAMES);
}

/* The sender shares the open file: its position must not move. */
static void test_position_kept(void **state)
{
	_cleanup_close_ int fd = file_written(
			SF_FORMAT_FLAC | SF_FORMAT_PCM_16, AUDIO_FRAMES, WRITER_CLOSES);

	assert_int_equal(lseek(fd, 17, SEEK_SET), 17);
	assert_int_equal(judge(fd).condition, PROBE_OK);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 17);
}

static void test_source_limits(void **state)
{
	_cleanup_close_ int fd = file_of("", 0), dir_fd = open("/", O_RDONLY | O_CLOEXEC);
	static uint8_t piece[1 << 20];
	struct source source;
	uint64_t total = 0, at = 0;

	assert_int_equal(source_init(dir_fd, &source), -ENOTSUP);
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	assert_int_equal(source_init(fd, &source), 0);
	for (int i = 0; i < 40; i++, at += sizeof(piece))
		total += source_read(&source, piece, sizeof(piece), at);
	assert_int_equal(total, SOURCE_BUDGET_BYTES);
	assert_int_equal(source.error, -EFBIG);
	assert_int_equal(source_read(&source, piece, 1, UINT64_MAX), 0);
}

/* A day of audio costs no more to judge than a second. */
static void test_constant_cost(void **state)
{
	struct builder b = {.len = 0};
	struct source source;
	struct probe_result result;

	put_wav(&b, 36, 0x70000000);
	_cleanup_close_ int fd = file_of(b.bytes, b.len);
	assert_int_equal(ftruncate(fd, 44 + INT64_C(0x70000000)), 0);
	assert_int_equal(source_init(fd, &source), 0);
	sniff(&source, &result);
	expect(&result, PROBE_OK, "wav/pcm_s16le", "");
	assert_true(SOURCE_BUDGET_BYTES - source.budget_bytes < 65536);
}

/* Asterisk's header until it closes the file: both sizes zero. */
static void crash_like_asterisk(int fd)
{
	struct probe_result before = judge(fd);
	uint8_t bytes[65536];
	ssize_t len = pread(fd, bytes, sizeof(bytes), 0);

	expect(&before, PROBE_OK, "wav/pcm_s16le", "");
	assert_int_equal(before.sample_rate, 8000);
	if (len < 100 || (size_t)len == sizeof(bytes))
		return;
	assert_memory_equal(bytes + 36, "data", 4);
	memset(bytes + 4, 0, 4);
	memset(bytes + 40, 0, 4);
	struct probe_result after = judge_bytes(bytes, (size_t)len);
	expect(&after, PROBE_DAMAGED, "wav/pcm_s16le", NULL);
	assert_int_equal(after.frames, before.frames);
}

static void test_asterisk_sounds(void **state)
{
	_cleanup_closedir_ DIR *dir = opendir(SOUNDS);
	unsigned judged = 0;

	if (!dir)
		skip(); /* Debian package asterisk-core-sounds-en-wav */
	for (struct dirent *entry; judged < 100 && (entry = readdir(dir));) {
		size_t len = strlen(entry->d_name);
		if (len < 4 || strcmp(entry->d_name + len - 4, ".wav") != 0)
			continue;
		_cleanup_close_ int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		crash_like_asterisk(fd);
		judged++;
	}
	if (judged == 0)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_closed),
			cmocka_unit_test(test_killed),
			cmocka_unit_test(test_killed_amount),
			cmocka_unit_test(test_no_audio),
			cmocka_unit_test(test_cut),
			cmocka_unit_test(test_header_shapes),
			cmocka_unit_test(test_unknown_codec),
			cmocka_unit_test(test_implausible_rate),
			cmocka_unit_test(test_foreign),
			cmocka_unit_test(test_mp3_placeholder),
			cmocka_unit_test(test_position_kept),
			cmocka_unit_test(test_source_limits),
			cmocka_unit_test(test_constant_cost),
			cmocka_unit_test(test_asterisk_sounds),
	};

	sniff_warm_up();
	return cmocka_run_group_tests_name("probe_sniff", tests, NULL, NULL);
}
