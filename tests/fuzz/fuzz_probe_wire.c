/* Fuzz target: the probe's result records. A record that is taken has one spelling, so that nothing
 * is carried where nobody looks. The planted bug: the end of a text field is not looked at. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/wire/probe_wire.h"

#define DAMAGE_OFFSET 64

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static int decode(uint8_t *record, struct probe_result *ret_result)
{
#ifdef FUZZ_PLANTED_BUG
	uint8_t *damage = record + DAMAGE_OFFSET, *end = memchr(damage, 0, PROBE_DAMAGE_BYTES);
	if (end)
		memset(end, 0, (size_t)(damage + PROBE_DAMAGE_BYTES - end));
#endif
	return probe_wire_decode_result(record, ret_result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *record = NULL;
	uint8_t again[PROBE_RESULT_BYTES];
	struct probe_result result;

	if (size < PROBE_RESULT_BYTES)
		return 0;
	record = fuzz_bytes(data, PROBE_RESULT_BYTES);
	int r = decode(record, &result);
	FUZZ_REQUIRE(r == 0 || r == -RE_PROTOCOL);
	if (r < 0)
		return 0;
	FUZZ_REQUIRE(result.condition < PROBE_CONDITIONS);
	FUZZ_REQUIRE(result.channels <= PROBE_CHANNELS_MAX);
	FUZZ_REQUIRE(memchr(result.format, 0, sizeof(result.format)));
	FUZZ_REQUIRE(memchr(result.damage, 0, sizeof(result.damage)));
	probe_wire_encode_result(&result, again);
	FUZZ_REQUIRE(memcmp(again, data, sizeof(again)) == 0);
	return 0;
}
