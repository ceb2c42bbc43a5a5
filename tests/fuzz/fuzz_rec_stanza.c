/* Fuzz target: recseal's own stanzas and the tag document.
 *
 * The input is a header of a stranger, in which the stanzas are looked for; and a tag, of which a
 * header is made that must open again, for its own account and with its own tag only. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/rec_stanza.h"

static const uint8_t recording_key[REC_KEY_BYTES] = "a recording key";
static const uint8_t file_key[AGE_FILE_KEY_BYTES] = "a file key";
static const struct rec_binding binding = {"a recording", "an account"};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_REQUIRE(sodium_init() >= 0);
	return 0;
}

static void read_stranger(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = fuzz_bytes(data, size);
	uint8_t opened[AGE_FILE_KEY_BYTES];
	struct age_header header;
	struct rec_stanza stanza;

	if (age_header_parse(copy, size, &header) < 0)
		return;
	int r = rec_stanza_find(&header, &stanza);
	FUZZ_REQUIRE(r == 0 || r == -RE_HEADER || r == -RE_NO_MATCH);
	FUZZ_REQUIRE((r == -RE_NO_MATCH) == !age_header_find(&header, REC_STANZA_TYPE));
	if (r == 0) {
		struct rec_binding own = binding;
		memcpy(own.recording_id, stanza.recording_id, ULID_BYTES);
		FUZZ_REQUIRE(header.n_stanzas == 2);
		FUZZ_REQUIRE(rec_stanza_unwrap(&stanza, &own, recording_key, opened) ==
				-RE_NO_MATCH);
	}
	age_header_free(&header);
}

static void check_unwrap(struct rec_stanza *stanza)
{
	struct rec_binding other = binding;
	uint8_t opened[AGE_FILE_KEY_BYTES];

	FUZZ_REQUIRE(rec_stanza_unwrap(stanza, &binding, recording_key, opened) == 0);
	FUZZ_REQUIRE(memcmp(opened, file_key, sizeof(opened)) == 0);
	other.account_handle[0] ^= 1;
	FUZZ_REQUIRE(rec_stanza_unwrap(stanza, &other, recording_key, opened) == -RE_NO_MATCH);
	stanza->tag_hash[0] ^= 1;
	FUZZ_REQUIRE(rec_stanza_unwrap(stanza, &binding, recording_key, opened) == -RE_NO_MATCH);
}

static void write_own(const uint8_t *tag, size_t tag_len)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct age_header header;
	struct rec_stanza stanza;
	size_t len;
	int r = rec_stanza_build_header(&binding, recording_key, file_key, (const char *)tag,
			tag_len, &bytes, &len);

	FUZZ_REQUIRE(r == 0 || (r == -E2BIG && tag_len > AGE_HEADER_MAX_BYTES / 2));
	if (r < 0)
		return;
	FUZZ_REQUIRE(age_header_parse(bytes, len, &header) == 0 && header.header_bytes == len);
	FUZZ_REQUIRE(age_header_verify(&header, bytes, file_key) == 0);
	FUZZ_REQUIRE(rec_stanza_find(&header, &stanza) == 0);
	FUZZ_REQUIRE(header.stanzas[1].body_len == tag_len);
	FUZZ_REQUIRE(tag_len == 0 || memcmp(header.stanzas[1].body, tag, tag_len) == 0);
	check_unwrap(&stanza);
	age_header_free(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_stranger(data, size);
	write_own(data, size);
	return 0;
}
