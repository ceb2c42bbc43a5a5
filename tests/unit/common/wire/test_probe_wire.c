/* The probe's result record: what is written comes back, and what a hostile child could write is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "daemon/common/wire/probe_wire.h"

static const struct probe_result sample = {
		.job = 7,
		.condition = PROBE_DAMAGED,
		.channels = 2,
		.sample_rate = 48000,
		.frames = 123456789012,
		.format = "wav/pcm_s16le",
		.damage = "header claims 0 bytes",
		.recoverable_bytes = 987654321098,
};

static void test_round_trip(void **state)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result;

	probe_wire_encode_result(&sample, record);
	assert_int_equal(probe_wire_decode_result(record, &result), 0);
	assert_int_equal(result.job, 7);
	assert_int_equal(result.condition, PROBE_DAMAGED);
	assert_int_equal(result.channels, 2);
	assert_int_equal(result.sample_rate, 48000);
	assert_int_equal(result.frames, sample.frames);
	assert_string_equal(result.format, sample.format);
	assert_string_equal(result.damage, sample.damage);
	assert_int_equal(result.recoverable_bytes, sample.recoverable_bytes);
}

static void test_layout(void **state)
{
	uint8_t record[PROBE_RESULT_BYTES];

	probe_wire_encode_result(&sample, record);
	assert_memory_equal(record, "RSPR\2\0\0\0\7\0\0\0\1\0\0\0\2\0\0\0\x80\xbb\0\0", 24);
	assert_int_equal(get_le64(record + 24), sample.frames);
	assert_memory_equal(record + 32, "wav/pcm_s16le\0", 14);
	assert_memory_equal(record + 64, "header claims 0 bytes\0", 22);
	assert_int_equal(get_le64(record + 160), sample.recoverable_bytes);
}

/* Sets 4 bytes of a good record and expects a refusal, leaving the result alone. */
static void refuse(size_t at, uint32_t value)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result = {.job = 4711};

	probe_wire_encode_result(&sample, record);
	put_le32(record + at, value);
	assert_int_equal(probe_wire_decode_result(record, &result), -RE_PROTOCOL);
	assert_int_equal(result.job, 4711);
}

static void test_numbers_out_of_range(void **state)
{
	refuse(0, 0);
	refuse(4, PROBE_WIRE_VERSION + 1);
	refuse(12, PROBE_CONDITIONS);
	refuse(12, UINT32_MAX);
	refuse(16, 1025);
	refuse(20, 10000001);
	refuse(28, 0x80000000);  /* frames: 2^63 and more */
	refuse(164, 0x80000000); /* recoverable bytes likewise */
}

static void test_hostile_text(void **state)
{
	for (size_t at = 32; at < 160; at += 4) {
		refuse(at, 0x1b1b1b1b);
		refuse(at, 0xc3a9c3a9);
		refuse(at, 0x7f7f7f7f);
	}
	refuse(60, 0x41414141); /* bytes after the end of a string */
	refuse(156, 0x00414141);
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result;
	probe_wire_encode_result(&sample, record);
	memset(record + 32, 'A', PROBE_FORMAT_BYTES); /* no end */
	assert_int_equal(probe_wire_decode_result(record, &result), -RE_PROTOCOL);
}

static void test_frames_unknown(void **state)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result = sample;

	result.frames = PROBE_FRAMES_UNKNOWN;
	probe_wire_encode_result(&result, record);
	result.frames = 0;
	assert_int_equal(probe_wire_decode_result(record, &result), 0);
	assert_true(result.frames == PROBE_FRAMES_UNKNOWN);
}

/* Whatever text a judge hands over, its own record is one that the reader accepts. */
static void test_encode_cleans_text(void **state)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result = sample, back;

	memset(result.format, 'x', sizeof(result.format));
	memset(result.damage, '\n', sizeof(result.damage));
	probe_wire_encode_result(&result, record);
	assert_int_equal(probe_wire_decode_result(record, &back), 0);
	assert_int_equal(strlen(back.format), PROBE_FORMAT_BYTES - 1);
	assert_int_equal(strspn(back.damage, "?"), PROBE_DAMAGE_BYTES - 1);
}

static void test_unprobed(void **state)
{
	struct probe_result result;
	char text[200];

	memset(text, 'y', sizeof(text));
	text[199] = '\0';
	probe_wire_set_unprobed(&result, "%s", text);
	assert_int_equal(result.condition, PROBE_UNPROBED);
	assert_true(result.frames == PROBE_FRAMES_UNKNOWN);
	assert_int_equal(strlen(result.damage), PROBE_DAMAGE_BYTES - 1);
}

static void test_names(void **state)
{
	assert_string_equal(probe_wire_condition_name(PROBE_OK), "ok");
	assert_string_equal(probe_wire_condition_name(PROBE_DAMAGED), "damaged");
	assert_string_equal(probe_wire_condition_name(PROBE_EMPTY), "empty");
	assert_string_equal(probe_wire_condition_name(PROBE_UNPROBED), "unprobed");
	assert_string_equal(probe_wire_condition_name(PROBE_CONDITIONS), "unprobed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_round_trip),
			cmocka_unit_test(test_layout),
			cmocka_unit_test(test_numbers_out_of_range),
			cmocka_unit_test(test_hostile_text),
			cmocka_unit_test(test_frames_unknown),
			cmocka_unit_test(test_encode_cleans_text),
			cmocka_unit_test(test_unprobed),
			cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("probe_wire", tests, NULL, NULL);
}
