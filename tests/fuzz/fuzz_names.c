/* Fuzz target: spellings of a name. Folding what was folded changes nothing; UTF-8 stays UTF-8 and
 * other bytes stay as they are; a name always looks like something, and like itself. The planted bug: a
 * folded name loses its first byte. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "daemon/common/names/name_fold.h"
#include "daemon/common/names/name_look.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static bool is_utf8(const char *text)
{
	size_t len = strlen(text), n = 1;

	for (size_t i = 0; i < len && n > 0; i += n)
		n = text_utf8_sequence((const uint8_t *)text + i, len - i);
	return n > 0;
}

static char *fold_name(enum name_folding folding, const char *name)
{
	char *folded;

	FUZZ_REQUIRE(name_fold(folding, name, &folded) == 0);
#ifdef FUZZ_PLANTED_BUG
	memmove(folded, folded + (*folded != '\0'), strlen(folded) + (*folded == '\0'));
#endif
	return folded;
}

static void check_folding(enum name_folding folding, const char *name)
{
	_cleanup_free_ char *once = fold_name(folding, name);
	_cleanup_free_ char *twice = fold_name(folding, once);

	FUZZ_REQUIRE(strcmp(once, twice) == 0);
	FUZZ_REQUIRE((*once == '\0') == (*name == '\0'));
	if (folding == NAME_EXACT || !is_utf8(name))
		FUZZ_REQUIRE(strcmp(once, name) == 0);
	else
		FUZZ_REQUIRE(is_utf8(once));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *name = fuzz_text(data, size);
	_cleanup_free_ uint8_t *bytes = fuzz_bytes(data, size);
	_cleanup_free_ char *look = NULL, *again = NULL;
	size_t len, again_len;

	for (int folding = NAME_EXACT; folding <= NAME_NFC; folding++)
		check_folding((enum name_folding)folding, name);
	FUZZ_REQUIRE(name_look(bytes, size, &look, &len) == 0);
	FUZZ_REQUIRE(name_look(bytes, size, &again, &again_len) == 0);
	FUZZ_REQUIRE(len > 0 && len == again_len && memcmp(look, again, len) == 0);
	return 0;
}
