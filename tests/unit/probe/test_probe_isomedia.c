/* ISO media, box by box: what of an MP4 that was cut, appended to or zeroed is there, to a sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/media.h"
#include "tests/unit/support/probe_files.h"

#define RATE         48000
#define SAMPLE_TICKS 960
#define SAMPLE_BYTES 50
#define SAMPLES      40
#define IN_CHUNK     8
/* moof, mfhd, traf, tfhd, tfdt, trun and the header of mdat */
#define FRAGMENT_HEAD_BYTES (8 + 16 + 8 + 16 + 16 + 20 + 8)

static void put_be(struct builder *b, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;)
		put_fill(b, i < sizeof(value) ? (uint8_t)(value >> (8 * i)) : 0, 1);
}

static size_t open_box(struct builder *b, const char *type)
{
	put_be(b, 0, 4);
	put_id(b, type);
	return b->len - 8;
}

static void shut(struct builder *b, size_t at)
{
	struct builder size = {.len = 0};

	put_be(&size, b->len - at, 4);
	memcpy(b->bytes + at, size.bytes, 4);
}

static void put_box(struct builder *b, const char *type, const uint32_t *words, size_t n)
{
	size_t box = open_box(b, type);

	for (size_t i = 0; i < n; i++)
		put_be(b, words[i], 4);
	shut(b, box);
}

#define PUT_BOX(b, type, ...)                                                                      \
	put_box(b, type, (const uint32_t[]){__VA_ARGS__},                                          \
			sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

/* What an index says beside its table of samples. */
struct index {
	const char *codec;
	uint32_t skip_ticks; /* of the first samples */
	uint32_t delay_ms;   /* before them */
	uint32_t late_ms;    /* of a second track; 0: there is none */
	uint32_t media_at;   /* where the first chunk lies */
	uint32_t samples;
	bool fragments;
};

static void put_tables(struct builder *b, const struct index *index)
{
	uint32_t chunks = (index->samples + IN_CHUNK - 1) / IN_CHUNK;
	size_t table = open_box(b, "stbl"), box = open_box(b, "stsd"), entry;

	put_be(b, 1, 8);
	entry = open_box(b, index->codec);
	put_be(b, 0, 16);
	put_be(b, 1, 2); /* channel */
	put_be(b, 0, 6);
	put_be(b, (uint64_t)RATE << 16, 4);
	shut(b, entry);
	shut(b, box);
	if (index->samples > 0)
		PUT_BOX(b, "stts", 0, 1, index->samples, SAMPLE_TICKS);
	PUT_BOX(b, "stsc", 0, 1, 1, IN_CHUNK, 1);
	box = open_box(b, "stsz");
	put_be(b, 0, 8);
	put_be(b, index->samples, 4);
	for (uint32_t i = 0; i < index->samples; i++)
		put_be(b, SAMPLE_BYTES, 4);
	shut(b, box);
	box = open_box(b, "stco");
	put_be(b, chunks, 8);
	for (uint32_t i = 0; i < chunks; i++)
		put_be(b, index->media_at + i * IN_CHUNK * SAMPLE_BYTES, 4);
	shut(b, box);
	shut(b, table);
}

static void put_edits(struct builder *b, const struct index *index)
{
	uint32_t play_ms = (index->samples * SAMPLE_TICKS - index->skip_ticks) / (RATE / 1000);
	size_t edits = open_box(b, "edts"), list = open_box(b, "elst");

	put_be(b, index->delay_ms > 0 ? 2 : 1, 8);
	if (index->delay_ms > 0) {
		put_be(b, index->delay_ms, 4);
		put_be(b, UINT32_MAX, 4);
		put_be(b, 0x10000, 4);
	}
	put_be(b, play_ms, 4);
	put_be(b, index->skip_ticks, 4);
	put_be(b, 0x10000, 4);
	shut(b, list);
	shut(b, edits);
}

static void put_track(struct builder *b, const struct index *index)
{
	size_t track, media, info, box;

	track = open_box(b, "trak");
	PUT_BOX(b, "tkhd", 0, 0, 0, 1, 0, 0);
	if (index->skip_ticks > 0 || index->delay_ms > 0)
		put_edits(b, index);
	media = open_box(b, "mdia");
	PUT_BOX(b, "mdhd", 0, 0, 0, RATE, index->samples * SAMPLE_TICKS, 0);
	box = open_box(b, "hdlr");
	put_be(b, 0, 8);
	put_id(b, "soun");
	put_be(b, 0, 13);
	shut(b, box);
	info = open_box(b, "minf");
	put_tables(b, index);
	shut(b, info);
	shut(b, media);
	shut(b, track);
}

static void put_index(struct builder *b, const struct index *index)
{
	size_t moov = open_box(b, "moov"), box;
	struct index late = *index;

	PUT_BOX(b, "mvhd", 0, 0, 0, 1000, 0, 0x10000);
	put_track(b, index);
	if (index->late_ms > 0) {
		late.delay_ms = index->late_ms;
		put_track(b, &late);
	}
	if (index->fragments) {
		box = open_box(b, "mvex");
		PUT_BOX(b, "trex", 0, 1, 1, SAMPLE_TICKS, SAMPLE_BYTES, 0);
		shut(b, box);
	}
	shut(b, moov);
}

static void put_type(struct builder *b)
{
	PUT_BOX(b, "ftyp", 0x69736f6d, 0x200, 0x69736f6d);
}

static void put_media(struct builder *b, uint32_t samples)
{
	size_t box = open_box(b, "mdat");

	put_noise(b, (size_t)samples * SAMPLE_BYTES);
	shut(b, box);
}

/* The index first, as a streamer has it. Returns where the media begins. */
static size_t put_fast(struct builder *b, const char *codec)
{
	struct index index = {.codec = codec, .samples = SAMPLES};
	size_t begin = b->len;
	struct builder probe = {.len = 0};

	put_type(&probe);
	put_index(&probe, &index);
	index.media_at = (uint32_t)probe.len + 8;
	put_type(b);
	put_index(b, &index);
	put_media(b, SAMPLES);
	return begin + index.media_at;
}

static struct media scan(const struct builder *b, size_t len)
{
	_cleanup_close_ int fd = file_of(b->bytes, len);
	struct source source;
	struct media media;

	assert_int_equal(source_init(fd, &source), 0);
	assert_int_equal(media_boxes_scan(&source, &media), 0);
	assert_int_equal(source.error, 0);
	return media;
}

static void assert_media(const struct media *media, enum media_state state, uint64_t samples)
{
	assert_int_equal(media->state, state);
	assert_int_equal(media->frames, samples * SAMPLE_TICKS);
	assert_int_equal(media->sample_rate, RATE);
	assert_int_equal(media->channels, 1);
}

static void test_index_last(void **state)
{
	struct builder b = {.len = 0};
	struct index index = {.codec = "Opus", .samples = SAMPLES};

	put_type(&b);
	index.media_at = (uint32_t)b.len + 8;
	put_media(&b, SAMPLES);
	size_t media_end = b.len;
	put_index(&b, &index);
	struct media media = scan(&b, b.len);
	assert_media(&media, MEDIA_WHOLE, SAMPLES);
	/* Cut anywhere, it has no index, and no length. */
	for (size_t len = 40; len < b.len; len++) {
		media = scan(&b, len);
		assert_int_equal(media.state, MEDIA_UNCLOSED);
		assert_true(media.frames == PROBE_FRAMES_UNKNOWN);
		assert_true(media.present_bytes <= media_end);
	}
}

static void test_index_first(void **state)
{
	struct builder b = {.len = 0};
	size_t media_at = put_fast(&b, "Opus");
	struct media media = scan(&b, b.len);

	assert_media(&media, MEDIA_WHOLE, SAMPLES);
	/* Cut anywhere, it has the samples that are whole. */
	for (size_t len = media_at + 1; len < b.len; len++) {
		media = scan(&b, len);
		assert_media(&media, MEDIA_CUT, (len - media_at) / SAMPLE_BYTES);
		assert_int_equal(media.present_bytes, len - media_at);
	}
}

/* A file whose index is written when its media is: sets where that is. */
static void put_index_last(struct builder *b, struct index *index)
{
	put_type(b);
	index->media_at = (uint32_t)b->len + 8;
	put_media(b, SAMPLES);
	put_index(b, index);
}

static void test_edits(void **state)
{
	struct builder b = {.len = 0};
	struct index index = {.codec = "Opus", .samples = SAMPLES, .skip_ticks = 312};

	put_index_last(&b, &index);
	struct media media = scan(&b, b.len);
	assert_int_equal(media.state, MEDIA_WHOLE);
	/* The edit list rounds it to a millisecond; the samples do not. */
	assert_int_equal(media.frames, SAMPLES * SAMPLE_TICKS - 312);
	/* What is silent before it begins is no audio. */
	b.len = index.media_at + SAMPLES * SAMPLE_BYTES;
	index.delay_ms = 5000;
	put_index(&b, &index);
	media = scan(&b, b.len);
	assert_int_equal(media.frames, SAMPLES * SAMPLE_TICKS - 312);
}

/* A second track that begins later, and ends last: the length is up to there. */
static void test_late_track(void **state)
{
	struct builder b = {.len = 0};
	struct index index = {.codec = "Opus", .samples = SAMPLES, .late_ms = 700};

	put_index_last(&b, &index);
	struct media media = scan(&b, b.len);
	assert_int_equal(media.state, MEDIA_WHOLE);
	assert_int_equal(media.frames, SAMPLES * SAMPLE_TICKS + 700 * (RATE / 1000));
}

static void test_appended(void **state)
{
	struct builder b = {.len = 0};

	for (unsigned n = 1; n <= 3; n++) {
		put_fast(&b, "Opus");
		struct media media = scan(&b, b.len);
		assert_media(&media, n == 1 ? MEDIA_WHOLE : MEDIA_JOINED,
				UINT64_C(1) * n * SAMPLES);
		assert_int_equal(media.present_bytes, n * SAMPLES * SAMPLE_BYTES);
	}
}

/* Another recording without its ftyp, as of a writer that opened the file again. */
static void test_reopened(void **state)
{
	struct builder b = {.len = 0};
	struct index index = {.codec = "Opus", .samples = SAMPLES};

	put_fast(&b, "Opus");
	put_media(&b, SAMPLES);
	put_index(&b, &index);
	struct media media = scan(&b, b.len);
	assert_media(&media, MEDIA_JOINED, UINT64_C(2) * SAMPLES);
}

static void test_zeroed(void **state)
{
	struct builder b = {.len = 0};
	size_t media_at = put_fast(&b, "Opus");

	/* After all that the index names, they fill the block of the disk. */
	put_fill(&b, 0, 5000);
	struct media media = scan(&b, b.len);
	assert_media(&media, MEDIA_WHOLE, SAMPLES);
	put_noise(&b, 10);
	media = scan(&b, b.len);
	assert_int_equal(media.state, MEDIA_JOINED);
	assert_true(media.frames == PROBE_FRAMES_UNKNOWN);
	assert_int_equal(media_at + SAMPLES * SAMPLE_BYTES + 5010, b.len);
}

/* So many samples that the zeros are too many for silence. */
static void check_zeroed_media(const char *codec, enum media_state state, uint64_t samples)
{
	struct builder b = {.len = 0};
	struct index index = {.codec = codec, .samples = 200};

	put_type(&b);
	put_index(&b, &index);
	index.media_at = (uint32_t)b.len + 8;
	b.len = 0;
	put_type(&b);
	put_index(&b, &index);
	put_media(&b, 200);
	size_t from = index.media_at + 100 * SAMPLE_BYTES + 20;
	memset(b.bytes + from, 0, b.len - from);
	struct media media = scan(&b, b.len);
	assert_media(&media, state, samples);
}

static void test_zeroed_media(void **state)
{
	check_zeroed_media("Opus", MEDIA_CUT, 100);
	check_zeroed_media("sowt", MEDIA_WHOLE, 200); /* silence */
}

static void put_fragment(struct builder *b, uint32_t begin_ticks, uint32_t samples)
{
	size_t moof = open_box(b, "moof"), piece;

	PUT_BOX(b, "mfhd", 0, 1);
	piece = open_box(b, "traf");
	PUT_BOX(b, "tfhd", 0x20000, 1);
	PUT_BOX(b, "tfdt", 0, begin_ticks);
	PUT_BOX(b, "trun", 0x1, samples, FRAGMENT_HEAD_BYTES);
	shut(b, piece);
	shut(b, moof);
	put_media(b, samples);
}

static void put_fragments(struct builder *b, unsigned n)
{
	struct index index = {.codec = "Opus", .fragments = true};

	put_type(b);
	put_index(b, &index);
	for (unsigned i = 0; i < n; i++)
		put_fragment(b, i * IN_CHUNK * SAMPLE_TICKS, IN_CHUNK);
}

static void test_fragments(void **state)
{
	struct builder b = {.len = 0}, head = {.len = 0};
	size_t each = FRAGMENT_HEAD_BYTES + IN_CHUNK * SAMPLE_BYTES;
	unsigned whole = 0;

	put_fragments(&head, 0);
	put_fragments(&b, 5);
	assert_int_equal(b.len, head.len + 5 * each);
	struct media media = scan(&b, head.len);
	assert_int_equal(media.state, MEDIA_EMPTY);
	/* Cut anywhere: whole fragments, and the whole samples of the last. */
	for (size_t len = head.len + FRAGMENT_HEAD_BYTES + 1; len <= b.len; len++) {
		size_t n = (len - head.len) / each, in = (len - head.len) % each;
		media = scan(&b, len);
		assert_media(&media, in == 0 ? MEDIA_WHOLE : MEDIA_CUT,
				n * IN_CHUNK + (in > FRAGMENT_HEAD_BYTES ? (in - FRAGMENT_HEAD_BYTES) /
											       SAMPLE_BYTES
									 : 0));
		whole += media.state == MEDIA_WHOLE;
	}
	assert_int_equal(whole, 5);
}

static void test_fragments_appended(void **state)
{
	struct builder b = {.len = 0};

	put_fragments(&b, 5);
	put_fragment(&b, 0, IN_CHUNK); /* times begin again */
	put_fragment(&b, IN_CHUNK * SAMPLE_TICKS, IN_CHUNK);
	struct media media = scan(&b, b.len);
	assert_media(&media, MEDIA_JOINED, 7 * IN_CHUNK);
	put_fragments(&b, 3);
	media = scan(&b, b.len);
	assert_media(&media, MEDIA_JOINED, 10 * IN_CHUNK);
}

static void test_fragments_zeroed(void **state)
{
	struct builder b = {.len = 0};

	put_fragments(&b, 5);
	size_t from = b.len - 2 * (FRAGMENT_HEAD_BYTES + IN_CHUNK * SAMPLE_BYTES) +
		      FRAGMENT_HEAD_BYTES + 3 * SAMPLE_BYTES + 5;
	memset(b.bytes + from, 0, b.len - from);
	struct media media = scan(&b, b.len);
	assert_media(&media, MEDIA_BROKEN, 3 * IN_CHUNK + 3);
}

/* Sizes that claim the file several times over, and offsets past its end. */
static void test_claims(void **state)
{
	struct builder b = {.len = 0};
	struct index index = {.codec = "Opus", .samples = SAMPLES, .media_at = 100000};

	put_type(&b);
	put_index(&b, &index);
	put_media(&b, SAMPLES);
	struct media media = scan(&b, b.len);
	assert_int_equal(media.state, MEDIA_CUT); /* the index of another file */
	b.len = 0;
	put_fast(&b, "Opus");
	put_be(&b, 1, 4); /* a size of 64 bits follows */
	put_id(&b, "free");
	put_be(&b, UINT64_MAX - 3, 8);
	media = scan(&b, b.len);
	assert_true(media.state != MEDIA_WHOLE);
	assert_int_equal(media.frames, SAMPLES * SAMPLE_TICKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_index_last),
			cmocka_unit_test(test_index_first),
			cmocka_unit_test(test_edits),
			cmocka_unit_test(test_late_track),
			cmocka_unit_test(test_appended),
			cmocka_unit_test(test_reopened),
			cmocka_unit_test(test_zeroed),
			cmocka_unit_test(test_zeroed_media),
			cmocka_unit_test(test_fragments),
			cmocka_unit_test(test_fragments_appended),
			cmocka_unit_test(test_fragments_zeroed),
			cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests_name("probe_isomedia", tests, NULL, NULL);
}
