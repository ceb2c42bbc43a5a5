/* Fuzz target: Matroska and WebM, with the same demands as on ISO media. */
#include "tests/fuzz/fuzz_media.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_media_scan(data, size, media_ebml_scan);
	return 0;
}
