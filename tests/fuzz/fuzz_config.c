/* Fuzz target: the configuration file. What is refused is refused in words, each line of them
 * naming the place, and printable; what is taken is complete, and can be checked and compiled. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "daemon/common/config/config.h"
#include "daemon/common/config/config_load.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

/* Lines that begin with a place, "FILE:LINE: " or "built in: ". */
static void check_errors(const char *errors, int r, const char *file)
{
	FUZZ_REQUIRE(r == 0 || r == -RE_CONFIG);
	FUZZ_REQUIRE((r == 0) == (*errors == '\0'));
	for (const char *line = errors, *end; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		FUZZ_REQUIRE(strncmp(line, file, strlen(file)) == 0 ||
				strcmp(line, "(and more)") == 0);
		for (const char *c = line; c < end; c++)
			FUZZ_REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
		for (size_t left = (size_t)(end - line), n; left > 0; left -= n) {
			n = text_utf8_sequence((const uint8_t *)end - left, left);
			FUZZ_REQUIRE(n > 0);
		}
	}
}

static void check_spool(const struct config *config, const struct config_spool *spool)
{
	struct profile_text text;
	struct profile *profile = NULL;

	FUZZ_REQUIRE(spool->name && spool->path && spool->path[0] == '/' && spool->origin);
	FUZZ_REQUIRE(config_profile_of(config, spool, &text) == 0);
	FUZZ_REQUIRE(profile_compile(&text, NULL, &profile) == 0);
	profile_free(profile);
}

static int load(const char *file, struct reason *reason)
{
	struct config *config;
	int r = config_load(file, reason, &config);

	if (r < 0)
		return r;
	FUZZ_REQUIRE(config_find_class(config, "default"));
	for (size_t i = 0; i < config->n_classes; i++)
		FUZZ_REQUIRE(config->classes[i].keep.us > 0 || config->classes[i].keep.months > 0);
	r = config_check(config, reason);
	for (size_t i = 0; r == 0 && i < config->n_spools; i++)
		check_spool(config, &config->spools[i]);
	config_free(config);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reason reason = {""};
	char file[32];

	snprintf(file, sizeof(file), "/proc/self/fd/%d", fuzz_file(data, size));
	int r = load(file, &reason);
	check_errors(reason.text, r, file);
	return 0;
}
