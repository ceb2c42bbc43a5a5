#include "daemon/common/wire/probe_wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"

/* Offsets in the record. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_JOB = 8,
	AT_CONDITION = 12,
	AT_CHANNELS = 16,
	AT_RATE = 20,
	AT_FRAMES = 24,
	AT_FORMAT = 32,
	AT_DAMAGE = AT_FORMAT + PROBE_FORMAT_BYTES,
	AT_RECOVERABLE = AT_DAMAGE + PROBE_DAMAGE_BYTES,
	AT_END = AT_RECOVERABLE + 8,
};
_Static_assert(AT_END == PROBE_RESULT_BYTES, "the record is what the header says");

static const uint8_t magic[4] = {'R', 'S', 'P', 'R'};

void probe_wire_set_unprobed(struct probe_result *ret_result, const char *format, ...)
{
	va_list arguments;

	*ret_result = (struct probe_result){
			.condition = PROBE_UNPROBED,
			.frames = PROBE_FRAMES_UNKNOWN,
	};
	va_start(arguments, format);
	vsnprintf(ret_result->damage, sizeof(ret_result->damage), format, arguments);
	va_end(arguments);
}

/* Copies a string into a zeroed field; what is not printable ASCII becomes '?'. */
static void put_printable(uint8_t *field, size_t field_bytes, const char *text)
{
	for (size_t i = 0; i < field_bytes - 1 && text[i]; i++)
		field[i] = text[i] >= ' ' && text[i] <= '~' ? (uint8_t)text[i] : '?';
}

void probe_wire_encode_result(
		const struct probe_result *result, uint8_t ret_record[static PROBE_RESULT_BYTES])
{
	memset(ret_record, 0, PROBE_RESULT_BYTES);
	memcpy(ret_record + AT_MAGIC, magic, sizeof(magic));
	put_le32(ret_record + AT_VERSION, PROBE_WIRE_VERSION);
	put_le32(ret_record + AT_JOB, result->job);
	put_le32(ret_record + AT_CONDITION, result->condition);
	put_le32(ret_record + AT_CHANNELS, result->channels);
	put_le32(ret_record + AT_RATE, result->sample_rate);
	put_le64(ret_record + AT_FRAMES, result->frames);
	put_printable(ret_record + AT_FORMAT, PROBE_FORMAT_BYTES, result->format);
	put_printable(ret_record + AT_DAMAGE, PROBE_DAMAGE_BYTES, result->damage);
	put_le64(ret_record + AT_RECOVERABLE, result->recoverable_bytes);
}

static int get_text(const uint8_t *field, size_t field_bytes, char *ret_text)
{
	size_t len = 0;

	while (len < field_bytes && field[len] >= ' ' && field[len] <= '~')
		len++;
	if (len == field_bytes)
		return -RE_PROTOCOL;
	for (size_t i = len; i < field_bytes; i++) {
		if (field[i] != 0)
			return -RE_PROTOCOL;
	}
	memcpy(ret_text, field, field_bytes);
	return 0;
}

static int check_numbers(const struct probe_result *result, uint32_t condition)
{
	if (condition >= PROBE_CONDITIONS || result->channels > PROBE_CHANNELS_MAX ||
			result->sample_rate > PROBE_SAMPLE_RATE_MAX)
		return -RE_PROTOCOL;
	if (result->frames > INT64_MAX && result->frames != PROBE_FRAMES_UNKNOWN)
		return -RE_PROTOCOL;
	if (result->recoverable_bytes > INT64_MAX)
		return -RE_PROTOCOL;
	return 0;
}

int probe_wire_decode_result(
		const uint8_t record[static PROBE_RESULT_BYTES], struct probe_result *ret_result)
{
	uint32_t condition = get_le32(record + AT_CONDITION);
	struct probe_result result = {
			.job = get_le32(record + AT_JOB),
			.channels = get_le32(record + AT_CHANNELS),
			.sample_rate = get_le32(record + AT_RATE),
			.frames = get_le64(record + AT_FRAMES),
			.recoverable_bytes = get_le64(record + AT_RECOVERABLE),
	};
	int r;

	if (memcmp(record + AT_MAGIC, magic, sizeof(magic)) != 0 ||
			get_le32(record + AT_VERSION) != PROBE_WIRE_VERSION)
		return -RE_PROTOCOL;
	r = check_numbers(&result, condition);
	if (r == 0)
		r = get_text(record + AT_FORMAT, PROBE_FORMAT_BYTES, result.format);
	if (r == 0)
		r = get_text(record + AT_DAMAGE, PROBE_DAMAGE_BYTES, result.damage);
	if (r < 0)
		return r;
	result.condition = (enum probe_condition)condition;
	*ret_result = result;
	return 0;
}

const char *probe_wire_condition_name(enum probe_condition condition)
{
	static const char *const names[PROBE_CONDITIONS] = {
			[PROBE_OK] = "ok",
			[PROBE_DAMAGED] = "damaged",
			[PROBE_EMPTY] = "empty",
			[PROBE_UNPROBED] = "unprobed",
	};

	return (size_t)condition < ELEMENTSOF(names) ? names[condition] : "unprobed";
}
