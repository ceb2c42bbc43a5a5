/* Fuzz target: Bech32. The first byte says how many bytes the text is to hold. What decodes must be
 * the one spelling of its bytes, and any bytes must come back from their text, which one wrong
 * character must spoil. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "crypto/bech32.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static void read_text(const char *text, const char *prefix, const char *lower_prefix, size_t len)
{
	_cleanup_free_ uint8_t *bytes = malloc(len ? len : 1);
	_cleanup_free_ char *again = NULL;

	FUZZ_REQUIRE(bytes);
	int r = bech32_decode(text, prefix, bytes, len);
	FUZZ_REQUIRE(r == 0 || r == -EINVAL);
	if (r < 0)
		return;
	FUZZ_REQUIRE(bech32_encode(lower_prefix, bytes, len, &again) == 0);
	FUZZ_REQUIRE(strcasecmp(again, text) == 0);
}

static void write_text(const uint8_t *data, size_t size, size_t wrong)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ uint8_t *again = malloc(size ? size : 1);

	FUZZ_REQUIRE(again && bech32_encode("age", data, size, &text) == 0);
	FUZZ_REQUIRE(bech32_decode(text, "age", again, size) == 0);
	FUZZ_REQUIRE(size == 0 || memcmp(again, data, size) == 0);
	char *at = text + wrong % strlen(text);
	*at = *at == 'q' ? 'p' : 'q';
	FUZZ_REQUIRE(bech32_decode(text, "age", again, size) == -EINVAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = fuzz_byte(&data, &size);
	_cleanup_free_ char *text = fuzz_text(data, size);

	read_text(text, "age", "age", len);
	read_text(text, "AGE-SECRET-KEY-", "age-secret-key-", len);
	write_text(data, size, len);
	return 0;
}
