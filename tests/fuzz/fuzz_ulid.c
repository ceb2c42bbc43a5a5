/* Fuzz target: ULIDs. Every id has one spelling, in upper or lower case, and every 16 bytes have one. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/ulid.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static void read_text(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_text(data, size);
	char again[ULID_TEXT_CHARS + 1];
	uint8_t id[ULID_BYTES];
	int r = ulid_parse(text, id);

	FUZZ_REQUIRE(r == 0 || r == -EINVAL);
	if (r < 0)
		return;
	ulid_format(id, again);
	FUZZ_REQUIRE(strcasecmp(again, text) == 0);
}

static void write_text(const uint8_t *data)
{
	char text[ULID_TEXT_CHARS + 1];
	uint8_t id[ULID_BYTES];

	ulid_format(data, text);
	FUZZ_REQUIRE(strlen(text) == ULID_TEXT_CHARS);
	FUZZ_REQUIRE(ulid_parse(text, id) == 0 && memcmp(id, data, sizeof(id)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_text(data, size);
	if (size >= ULID_BYTES)
		write_text(data);
	return 0;
}
