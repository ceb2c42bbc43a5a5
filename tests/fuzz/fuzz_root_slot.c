/* Fuzz target: the images in root slots. As they are, and again with a checksum that is right, so
 * that what is behind the checksum is reached. */
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "storage/root/root.h"

#define CHECKSUM_BYTES 32
#define SUMMED_BYTES   (ROOT_IMAGE_BYTES - CHECKSUM_BYTES)

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(sodium_init() >= 0);
	return 0;
}

static int decode(const uint8_t *image, struct root_record *ret_record)
{
	struct root_record again;
	uint8_t encoded[ROOT_IMAGE_BYTES];
	int r = root_record_decode(image, ret_record);

	FUZZ_REQUIRE(r == 0 || r == -RE_CORRUPT);
	if (r < 0)
		return r;
	root_record_encode(ret_record, encoded);
	FUZZ_REQUIRE(root_record_decode(encoded, &again) == 0);
	FUZZ_REQUIRE(memcmp(&again, ret_record, sizeof(again)) == 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *image = NULL;
	struct root_record record;

	if (size < ROOT_IMAGE_BYTES)
		return 0;
	image = fuzz_bytes(data, ROOT_IMAGE_BYTES);
	decode(image, &record);
	crypto_generichash(image + SUMMED_BYTES, CHECKSUM_BYTES, image, SUMMED_BYTES, NULL, 0);
	if (decode(image, &record) < 0)
		return 0;
	/* Any one byte that changes is seen. */
	image[data[0] % ROOT_IMAGE_BYTES] ^= 1;
	FUZZ_REQUIRE(decode(image, &record) == -RE_CORRUPT);
	return 0;
}
