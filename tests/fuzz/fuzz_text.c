/* Fuzz target: text_printable(). Any bytes become text that is safe to show, and from which the
 * bytes can be told again. The planted bug: a backslash is left as it is. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static char *make_printable(const uint8_t *bytes, size_t size)
{
	char *text = text_printable(bytes, size);

	FUZZ_REQUIRE(text);
#ifdef FUZZ_PLANTED_BUG
	char *out = text;
	for (const char *at = text; *at; at++) {
		*out++ = *at;
		at += at[0] == '\\' && at[1] == '\\';
	}
	*out = '\0';
#endif
	return text;
}

static unsigned hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	FUZZ_REQUIRE(at);
	return (unsigned)(at - digits);
}

/* Takes the escapes back; returns how many bytes there are. */
static size_t take_back(const char *text, uint8_t *ret_bytes)
{
	size_t n = 0;

	for (const char *at = text; *at; at++) {
		if (*at != '\\') {
			ret_bytes[n++] = (uint8_t)*at;
		} else if (*++at == '\\') {
			ret_bytes[n++] = '\\';
		} else {
			FUZZ_REQUIRE(*at == 'x');
			unsigned high = hex_value(at[1]);
			ret_bytes[n++] = (uint8_t)(high << 4 | hex_value(at[2]));
			at += 2;
		}
	}
	return n;
}

static void check_safe(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	for (size_t n, left = strlen(text); left > 0; p += n, left -= n) {
		n = text_utf8_sequence(p, left);
		FUZZ_REQUIRE(n >= 1 && n <= 4);
		FUZZ_REQUIRE(n > 1 || (*p >= 0x20 && *p != 0x7f));
		FUZZ_REQUIRE(n != 2 || p[0] != 0xc2 || p[1] >= 0xa0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *bytes = fuzz_bytes(data, size);
	_cleanup_free_ char *text = make_printable(bytes, size);
	_cleanup_free_ uint8_t *again = malloc(strlen(text) + 1);

	FUZZ_REQUIRE(again);
	check_safe(text);
	FUZZ_REQUIRE(text_columns(text) <= strlen(text));
	FUZZ_REQUIRE(take_back(text, again) == size);
	FUZZ_REQUIRE(size == 0 || memcmp(again, bytes, size) == 0);
	return 0;
}
