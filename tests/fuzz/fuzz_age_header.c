/* Fuzz target: the age header parser.
 *
 * What parses must be rebuilt from its stanzas to the same bytes up to "---": two different headers
 * never mean the same, so nothing can be changed that the MAC would not see. The planted bug: the
 * parser tolerates carriage returns. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/age_header.h"

static const uint8_t any_key[AGE_FILE_KEY_BYTES];

/* The input in a buffer of its own and of exactly its size. */
static uint8_t *copy_input(const uint8_t *data, size_t size, size_t *ret_size)
{
	uint8_t *copy = malloc(size ? size : 1);
	size_t n = 0;

	FUZZ_REQUIRE(copy);
	for (size_t i = 0; i < size; i++) {
#ifdef FUZZ_PLANTED_BUG
		if (data[i] == '\r')
			continue;
#endif
		copy[n++] = data[i];
	}
	*ret_size = n;
	return copy;
}

static void check_places(const struct age_header *header, size_t size)
{
	FUZZ_REQUIRE(header->header_bytes <= size);
	FUZZ_REQUIRE(header->header_bytes <= AGE_HEADER_MAX_BYTES);
	FUZZ_REQUIRE(header->header_bytes == header->maced_bytes + strlen(" \n") + 43);
	FUZZ_REQUIRE(header->n_stanzas >= 1 && header->n_stanzas <= AGE_STANZAS_MAX);
}

static void check_rebuild(const struct age_header *header, const uint8_t *data)
{
	_cleanup_free_ uint8_t *built = NULL;
	struct age_header again;
	size_t len;

	FUZZ_REQUIRE(age_header_build(header->stanzas, header->n_stanzas, any_key, &built, &len) ==
			0);
	FUZZ_REQUIRE(len == header->header_bytes && memcmp(built, data, header->maced_bytes) == 0);
	FUZZ_REQUIRE(age_header_parse(built, len, &again) == 0);
	FUZZ_REQUIRE(age_header_verify(&again, built, any_key) == 0);
	age_header_free(&again);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(sodium_init() >= 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct age_header header;
	_cleanup_free_ uint8_t *copy = copy_input(data, size, &size);
	int r = age_header_parse(copy, size, &header);

	if (r < 0) {
		FUZZ_REQUIRE(r == -RE_HEADER || r == -ENOMEM);
		return 0;
	}
	check_places(&header, size);
	check_rebuild(&header, data);
	age_header_free(&header);
	return 0;
}
