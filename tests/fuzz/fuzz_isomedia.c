/* Fuzz target: ISO media, once and twice in one file. Whatever the file, no more media is found in it
 * than it has bytes, its length is one that the wire takes, and the search ends. The planted bug: a
 * file's size is learned before it is cut. */
#include "tests/fuzz/fuzz_media.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_media_scan(data, size, media_boxes_scan);
	return 0;
}
