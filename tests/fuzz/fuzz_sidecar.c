/* Fuzz target: what a bridge writes beside its recordings. An input is a key, a line break, and the
 * bytes of the file, in which the key is looked up, and as a recording's name, too. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/intake/beside/manifest.h"
#include "daemon/intake/beside/sidecar.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

/* Whether the text is there between such a character and a quote. */
static bool is_quoted(const struct sidecar *sidecar, char before, const char *name)
{
	_cleanup_free_ char *wanted = NULL;
	int len = asprintf(&wanted, "%c%s\"", before, name);

	FUZZ_REQUIRE(len > 0);
	return memmem(sidecar->bytes, sidecar->len, wanted, (size_t)len) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *key = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *bytes = fuzz_text(data, size);
	const struct sidecar sidecar = {.bytes = (uint8_t *)bytes, .len = size};
	_cleanup_free_ char *value = sidecar_member(&sidecar, key, strlen(key));

	if (value) {
		FUZZ_REQUIRE(*value);
		for (const char *c = value; *c; c++)
			FUZZ_REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
	}
	if (*key)
		FUZZ_REQUIRE(manifest_names(&sidecar, key) ==
				(is_quoted(&sidecar, '/', key) || is_quoted(&sidecar, '"', key)));
	return 0;
}
