/* Fuzz target: the whole judgement of a file, libsndfile's part included. Whatever the file, the
 * result is one that the wire takes as it is. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "daemon/probe/sniff.h"

/* LeakSanitizer asks for it. What libsndfile and its decoders leak on a file they give up ends with
 * the probe's child, which judges one file; a leak of our own is still found. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libsndfile\nleak:libvorbis\nleak:libFLAC\nleak:libopus\nleak:libogg\n"
	       "leak:libmpg123\n";
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	sniff_warm_up();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t record[PROBE_RESULT_BYTES];
	struct probe_result result, again;
	struct source source;

	FUZZ_REQUIRE(source_init(fuzz_file(data, size), &source) == 0);
	sniff(&source, &result);
	probe_wire_encode_result(&result, record);
	FUZZ_REQUIRE(probe_wire_decode_result(record, &again) == 0);
	FUZZ_REQUIRE(again.condition == result.condition && again.frames == result.frames);
	FUZZ_REQUIRE(strcmp(again.damage, result.damage) == 0);
	FUZZ_REQUIRE(result.recoverable_bytes <= size);
	FUZZ_REQUIRE(result.condition == PROBE_DAMAGED || result.recoverable_bytes == 0);
	return 0;
}
