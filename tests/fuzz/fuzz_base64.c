/* Fuzz target: base64. What decodes must be the one spelling of its bytes, and fit to the byte. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(sodium_init() >= 0);
	return 0;
}

/* Encoded again, the bytes must give the text they came from. */
static void check_spelling(
		const char *text, size_t text_len, int variant, const uint8_t *bytes, size_t len)
{
	size_t room = sodium_base64_encoded_len(len, variant);
	_cleanup_free_ char *again = malloc(room);

	FUZZ_REQUIRE(again);
	sodium_bin2base64(again, room, bytes, len, variant);
	FUZZ_REQUIRE(strlen(again) == text_len && memcmp(again, text, text_len) == 0);
}

static void decode(const uint8_t *data, size_t size, enum base64_padding padding)
{
	int variant = padding == BASE64_PADDED ? sodium_base64_VARIANT_ORIGINAL
					       : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
	_cleanup_free_ char *text = (char *)fuzz_bytes(data, size);
	_cleanup_free_ uint8_t *bytes = malloc(size + 1), *exact = NULL;
	size_t len, exact_len;

	FUZZ_REQUIRE(bytes);
	if (base64_decode(text, size, padding, bytes, size, &len) < 0)
		return;
	check_spelling(text, size, variant, bytes, len);
	exact = malloc(len ? len : 1);
	FUZZ_REQUIRE(exact);
	FUZZ_REQUIRE(base64_decode(text, size, padding, exact, len, &exact_len) == 0);
	FUZZ_REQUIRE(exact_len == len && memcmp(exact, bytes, len) == 0);
	if (len > 0)
		FUZZ_REQUIRE(base64_decode(text, size, padding, exact, len - 1, &exact_len) ==
				-EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode(data, size, BASE64_PADDED);
	decode(data, size, BASE64_UNPADDED);
	return 0;
}
