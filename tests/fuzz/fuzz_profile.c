/* Fuzz target: bridge profiles, and the naming of accounts.
 *
 * An input is four lines, of a [profile] section's Files=, Account=, Sidecar= and Finished=; then
 * the path of a file; then the bytes of its sidecar. No sidecar leads out of the spool: the intake
 * removes sidecars. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/profile/profile.h"
#include "daemon/intake/beside/sidecar.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

/* profile_template_meta: from the sidecar. */
static char *find_member(void *context, const char *key, size_t len)
{
	return sidecar_member(context, key, len);
}

static bool goes_up(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
			return true;
	}
	return false;
}

static void check_places(const struct profile *profile, enum profile_list list, const char *path,
		const struct pattern_match *match)
{
	for (size_t i = 0; i < profile_count(profile, list); i++) {
		_cleanup_free_ char *place = NULL;
		bool at_markers = false;
		if (list == PROFILE_SIDECARS && profile_sidecar_is_pattern(profile, i))
			continue;
		int r = profile_locate(profile, list, i, path, match, &place, &at_markers);
		FUZZ_REQUIRE(r == 0 || r == -ENOENT);
		if (r == 0 && list == PROFILE_SIDECARS && !goes_up(path))
			FUZZ_REQUIRE(!goes_up(place));
	}
}

static void use(const struct profile *profile, const char *path, struct sidecar *sidecar)
{
	_cleanup_free_ char *account = NULL;
	struct pattern_match match = {.n = 0};

	if (profile_classify(profile, path, &match) != PROFILE_RECORDING)
		return;
	for (enum profile_list list = 0; list < PROFILE_LISTS; list++) {
		FUZZ_REQUIRE(!profile_may_be(profile, list, path));
		check_places(profile, list, path, &match);
	}
	int r = profile_account(profile, path, &match, find_member, sidecar, &account);
	FUZZ_REQUIRE((r == 0 && account) || r == -ENOENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *files = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *accounts = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *sidecars = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *finished = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *path = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *beside = fuzz_text(data, size);
	struct reason why = {""};
	struct sidecar sidecar = {.bytes = (uint8_t *)beside, .len = size};
	const struct profile_text text = {.name = "fuzz",
			.files = files,
			.accounts = accounts,
			.sidecars = sidecars,
			.finished = finished};
	struct profile *profile = NULL;
	int r = profile_compile(&text, &why, &profile);

	FUZZ_REQUIRE(r == 0 || (r == -RE_CONFIG && *why.text));
	if (r == 0)
		use(profile, path, &sidecar);
	profile_free(profile);
	return 0;
}
