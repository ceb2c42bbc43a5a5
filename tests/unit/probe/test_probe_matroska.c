/* Matroska and WebM, element by element: what a stream that was cut, closed, appended to or zeroed
 * holds, to a block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/probe/matroska.h"
#include "daemon/probe/media.h"
#include "tests/unit/support/probe_files.h"

#define OPUS_20_MS  0x08 /* SILK, 20 ms, one frame (RFC 6716 section 3.1) */
#define BLOCK_BYTES 40   /* of a simple block, all in all */
#define RATE        48000
#define BLOCK_MS    20

static void put_bytes(struct builder *b, const void *bytes, size_t len)
{
	put_fill(b, 0, len);
	memcpy(b->bytes + b->len - len, bytes, len);
}

static void put_be(struct builder *b, uint64_t value, size_t bytes)
{
	for (size_t i = bytes; i-- > 0;)
		put_fill(b, (uint8_t)(value >> (8 * i)), 1);
}

static void put_ebml_id(struct builder *b, uint32_t id)
{
	put_be(b, id, id > 0xffffff ? 4 : id > 0xffff ? 3 : id > 0xff ? 2 : 1);
}

static void put_number(struct builder *b, uint32_t id, uint64_t value, size_t bytes)
{
	put_ebml_id(b, id);
	put_fill(b, (uint8_t)(0x80 | bytes), 1);
	put_be(b, value, bytes);
}

/* An element whose size is filled in by shut(), or never. */
static size_t open_element(struct builder *b, uint32_t id)
{
	put_ebml_id(b, id);
	put_be(b, UINT64_C(0x01ffffffffffffff), 8);
	return b->len;
}

static void shut(struct builder *b, size_t at)
{
	struct builder size = {.len = 0};

	put_be(&size, UINT64_C(0x0100000000000000) | (b->len - at), 8);
	memcpy(b->bytes + at - 8, size.bytes, 8);
}

/* What a writer leaves where closing puts the length and the list of places. */
enum room { ROOM_NONE, ROOM_VOID, ROOM_PLACES, ROOM_ZERO };

static void put_room(struct builder *b, enum room room)
{
	size_t places, place;

	switch (room) {
	case ROOM_NONE:
		break;
	case ROOM_VOID: /* ffmpeg */
		put_number(b, MATROSKA_VOID, 0, 8);
		break;
	case ROOM_PLACES: /* GStreamer */
		places = open_element(b, MATROSKA_SEEK_HEAD);
		place = open_element(b, 0x4dbb);
		put_number(b, 0x53ac, UINT64_MAX, 8);
		shut(b, place);
		shut(b, places);
		break;
	case ROOM_ZERO: /* Firefox, which never fills it in */
		places = open_element(b, MATROSKA_SEEK_HEAD);
		shut(b, places);
		break;
	}
}

/* One track, audio of Opus. Returns where the segment's content begins. */
static size_t put_head(struct builder *b, enum room room)
{
	size_t head = open_element(b, MATROSKA_EBML);
	put_ebml_id(b, MATROSKA_DOC_TYPE);
	put_be(b, 0x84, 1);
	put_bytes(b, "webm", 4);
	shut(b, head);
	size_t segment = open_element(b, MATROSKA_SEGMENT);
	put_room(b, room);
	size_t info = open_element(b, MATROSKA_INFO);
	put_number(b, 0x2ad7b1, 1000000, 3);
	if (room == ROOM_ZERO)
		put_number(b, 0x4489, 0, 8);
	shut(b, info);
	size_t tracks = open_element(b, MATROSKA_TRACKS), track = open_element(b, 0xae);
	put_number(b, 0xd7, 1, 1);
	put_number(b, 0x83, 2, 1);
	put_ebml_id(b, 0x86);
	put_be(b, 0x86, 1);
	put_bytes(b, "A_OPUS", 6);
	size_t audio = open_element(b, 0xe1);
	put_number(b, 0xb5, UINT64_C(0x40e7700000000000), 8); /* 48000.0 */
	put_number(b, 0x9f, 2, 1);
	shut(b, audio);
	shut(b, track);
	shut(b, tracks);
	return segment;
}

static void put_simple_block(struct builder *b, uint16_t ms)
{
	put_be(b, MATROSKA_SIMPLE_BLOCK, 1);
	put_be(b, 0x80 | (BLOCK_BYTES - 2), 1);
	put_be(b, 0x81, 1);
	put_be(b, ms, 2);
	put_be(b, 0x80, 1);
	put_be(b, OPUS_20_MS, 1);
	put_noise(b, BLOCK_BYTES - 7);
}

/* So many blocks of 20 ms, in clusters of ten, from a time on. */
static void put_clusters(struct builder *b, unsigned blocks, unsigned from_ms, bool sized)
{
	for (unsigned i = 0; i < blocks;) {
		size_t cluster = open_element(b, MATROSKA_CLUSTER);
		put_number(b, MATROSKA_TIMESTAMP, from_ms + i * BLOCK_MS, 4);
		for (unsigned j = 0; j < 10 && i < blocks; j++, i++)
			put_simple_block(b, (uint16_t)(j * BLOCK_MS));
		if (sized)
			shut(b, cluster);
	}
}

static struct media scan(const uint8_t *bytes, size_t len)
{
	_cleanup_close_ int fd = file_of(bytes, len);
	struct source source;
	struct media media;

	assert_int_equal(source_init(fd, &source), 0);
	assert_int_equal(media_ebml_scan(&source, &media), 0);
	assert_int_equal(source.error, 0);
	return media;
}

static void assert_media(const struct media *media, enum media_state state, uint64_t blocks)
{
	assert_int_equal(media->state, state);
	assert_int_equal(media->sample_rate, RATE);
	assert_int_equal(media->frames, blocks * BLOCK_MS * RATE / 1000);
}

static void test_stream(void **state)
{
	struct builder b = {.len = 0};

	put_head(&b, ROOM_NONE);
	put_clusters(&b, 25, 0, false);
	struct media media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_WHOLE, 25);
	assert_string_equal(media.format, "webm");
	assert_int_equal(media.channels, 2);
}

/* Tapped in the middle of a call: its length is what is there, not the time of the call. */
static void test_stream_late(void **state)
{
	struct builder b = {.len = 0};

	put_head(&b, ROOM_NONE);
	put_clusters(&b, 25, 3600000, false);
	struct media media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_WHOLE, 25);
}

/* At every byte: whole exactly where a block ends, and always as long as its whole blocks. */
static void check_every_cut(bool sized)
{
	struct builder b = {.len = 0};
	unsigned whole = 0;

	put_head(&b, ROOM_NONE);
	size_t clusters = b.len;
	put_clusters(&b, 25, 0, sized);
	for (size_t len = clusters + 1; len <= b.len; len++) {
		size_t at = 0, blocks = 0;
		/* Each cluster's head has 4 + 8 bytes, its time 6. */
		for (size_t i = clusters; i < len; i += at) {
			size_t in = (len - i > 18 ? len - i - 18 : 0) / BLOCK_BYTES;
			at = 18 + 10 * BLOCK_BYTES;
			blocks += in < 10 ? in : 10;
		}
		struct media media = scan(b.bytes, len);
		assert_true(media.frames == blocks * BLOCK_MS * RATE / 1000 ||
				(blocks == 0 && media.frames == PROBE_FRAMES_UNKNOWN));
		whole += media.state == MEDIA_WHOLE;
		if (media.state == MEDIA_WHOLE)
			assert_true(blocks > 0);
	}
	/* A stream is whole after each block, and after head and time of another cluster. One whose
	 * clusters say their size is whole after each of these. */
	assert_int_equal(whole, sized ? 3 : 25 + 2 * 2);
}

static void test_every_cut(void **state)
{
	check_every_cut(false);
	check_every_cut(true);
}

static void test_closed(void **state)
{
	struct builder b = {.len = 0};
	size_t segment = put_head(&b, ROOM_VOID);

	put_clusters(&b, 25, 0, true);
	struct media media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_UNCLOSED,
			25); /* room for what closing writes, and it is empty */
	shut(&b, segment);
	media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_WHOLE, 25);
	media = scan(b.bytes, b.len - 1);
	assert_media(&media, MEDIA_CUT, 24);
	/* Zeros fill the block of the disk. */
	put_fill(&b, 0, 5000);
	media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_WHOLE, 25);
	/* Nobody knows what that is. */
	put_noise(&b, 10);
	media = scan(b.bytes, b.len);
	assert_int_equal(media.state, MEDIA_JOINED);
	assert_true(media.frames == PROBE_FRAMES_UNKNOWN);
}

/* Whether a writer would have closed it is told by what it left room for. */
static void test_room(void **state)
{
	static const enum media_state states[] = {[ROOM_NONE] = MEDIA_WHOLE,
			[ROOM_VOID] = MEDIA_UNCLOSED,
			[ROOM_PLACES] = MEDIA_UNCLOSED,
			[ROOM_ZERO] = MEDIA_WHOLE};

	for (enum room room = ROOM_NONE; room <= ROOM_ZERO; room++) {
		struct builder b = {.len = 0};
		put_head(&b, room);
		put_clusters(&b, 25, 0, true);
		struct media media = scan(b.bytes, b.len);
		assert_media(&media, states[room], 25);
	}
}

static void test_appended(void **state)
{
	for (int sized = 0; sized < 2; sized++) {
		struct builder b = {.len = 0};
		for (unsigned n = 1; n <= 3; n++) {
			size_t segment = put_head(&b, ROOM_NONE);
			put_clusters(&b, 25, 0, sized);
			if (sized)
				shut(&b, segment);
			struct media media = scan(b.bytes, b.len);
			assert_media(&media, n == 1 ? MEDIA_WHOLE : MEDIA_JOINED, UINT64_C(25) * n);
		}
	}
}

/* Without another head: times begin again. */
static void test_reopened(void **state)
{
	for (int sized = 0; sized < 2; sized++) {
		struct builder b = {.len = 0};
		size_t segment = put_head(&b, ROOM_NONE);
		put_clusters(&b, 8, 0, sized);
		if (sized)
			shut(&b, segment);
		put_clusters(&b, 25, 0, sized);
		struct media media = scan(b.bytes, b.len);
		assert_media(&media, MEDIA_JOINED, 8 + 25);
	}
}

static void test_zeroed(void **state)
{
	struct builder b = {.len = 0};

	put_head(&b, ROOM_NONE);
	size_t clusters = b.len;
	put_clusters(&b, 25, 0, true);
	/* From within the fourth block of the second cluster. */
	size_t from = clusters + 18 + 10 * BLOCK_BYTES + 18 + 3 * BLOCK_BYTES + 9;
	memset(b.bytes + from, 0, b.len - from);
	struct media media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_BROKEN, 13);
}

/* Eight frames in a block, and a group that says how much of the last is not played. */
static void test_laces(void **state)
{
	struct builder b = {.len = 0};

	put_head(&b, ROOM_NONE);
	open_element(&b, MATROSKA_CLUSTER);
	put_number(&b, MATROSKA_TIMESTAMP, 0, 1);
	size_t block = open_element(&b, MATROSKA_SIMPLE_BLOCK);
	put_be(&b, 0x81000084, 4); /* fixed sizes */
	put_be(&b, 7, 1);
	for (int i = 0; i < 8; i++) {
		put_be(&b, OPUS_20_MS, 1);
		put_noise(&b, 9);
	}
	shut(&b, block);
	struct media media = scan(b.bytes, b.len);
	assert_media(&media, MEDIA_WHOLE, 8);
	size_t group = open_element(&b, MATROSKA_BLOCK_GROUP);
	block = open_element(&b, MATROSKA_BLOCK);
	put_be(&b, 0x8100a000, 4); /* at 160 ms */
	put_be(&b, OPUS_20_MS, 1);
	put_noise(&b, 9);
	shut(&b, block);
	put_number(&b, 0x75a2, 15000000, 4);
	shut(&b, group);
	media = scan(b.bytes, b.len);
	assert_int_equal(media.state, MEDIA_WHOLE);
	assert_int_equal(media.frames, 165 * RATE / 1000);
}

static void test_empty(void **state)
{
	struct builder b = {.len = 0};

	put_head(&b, ROOM_NONE);
	struct media media = scan(b.bytes, b.len);
	assert_int_equal(media.state, MEDIA_EMPTY);
	for (size_t len = 12; len < b.len; len++)
		assert_true(scan(b.bytes, len).state != MEDIA_WHOLE);
}

/* Clusters that say their size are passed: of a file of gigabytes some thousand bytes are read. */
static void test_passed(void **state)
{
	struct builder b = {.len = 0};
	struct source source;
	struct media media;
	uint64_t at;

	put_head(&b, ROOM_NONE);
	put_clusters(&b, 10, 0, true);
	_cleanup_close_ int fd = file_of(b.bytes, b.len);
	at = b.len;
	for (unsigned i = 1; i <= 1000; i++) {
		b.len = 0;
		put_ebml_id(&b, MATROSKA_CLUSTER);
		put_be(&b, UINT64_C(0x0100000000000000) | (6 + BLOCK_BYTES + 12 + 4000000), 8);
		put_number(&b, MATROSKA_TIMESTAMP, i * 200, 4);
		put_simple_block(&b, 180);
		put_be(&b, MATROSKA_VOID, 1);
		put_be(&b, UINT64_C(0x0100000000000000) | (4000000 + 3), 8);
		assert_int_equal(pwrite(fd, b.bytes, b.len, (off_t)at), (ssize_t)b.len);
		at += 12 + 6 + BLOCK_BYTES + 12 + 4000000;
	}
	assert_int_equal(ftruncate(fd, (off_t)at), 0);
	assert_int_equal(source_init(fd, &source), 0);
	assert_int_equal(media_ebml_scan(&source, &media), 0);
	assert_media(&media, MEDIA_WHOLE, UINT64_C(1001) * 10);
	assert_true(SOURCE_BUDGET_BYTES - source.budget_bytes < 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_stream),
			cmocka_unit_test(test_stream_late),
			cmocka_unit_test(test_every_cut),
			cmocka_unit_test(test_closed),
			cmocka_unit_test(test_room),
			cmocka_unit_test(test_appended),
			cmocka_unit_test(test_reopened),
			cmocka_unit_test(test_zeroed),
			cmocka_unit_test(test_laces),
			cmocka_unit_test(test_empty),
			cmocka_unit_test(test_passed),
	};

	return cmocka_run_group_tests_name("probe_matroska", tests, NULL, NULL);
}
