/* Fuzz target: file name patterns, against a matcher that simply tries everything. An input is a
 * pattern, a line break and a path. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/common/profile/pattern.h"

/* Past this the simple matcher takes too long. */
#define NAIVE_SUBJECT_MAX 24
#define NAIVE_TOKENS_MAX  8

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

static bool naive_takes(const struct pattern_token *token, char c)
{
	if (token->kind == PATTERN_DEEP)
		return true;
	return c && c != '/' && (!token->digits || (c >= '0' && c <= '9'));
}

static bool naive_match(const struct pattern *pattern, size_t i, const char *at);

static bool naive_choice(const struct pattern *pattern, size_t i, const char *at)
{
	_cleanup_free_ char *choices = strndup(pattern->token[i].text, pattern->token[i].len);
	char *rest = choices, *choice;
	bool found = false;

	FUZZ_REQUIRE(choices);
	while (!found && (choice = strsep(&rest, "|")))
		found = strncmp(at, choice, strlen(choice)) == 0 &&
			naive_match(pattern, i + 1, at + strlen(choice));
	return found;
}

/* From min to max characters, and then the rest. */
static bool naive_run(
		const struct pattern *pattern, size_t i, const char *at, size_t min, size_t max)
{
	for (size_t n = 0; n <= max; n++) {
		if (n >= min && naive_match(pattern, i + 1, at + n))
			return true;
		if (!at[n] || !naive_takes(&pattern->token[i], at[n]))
			return false;
	}
	return false;
}

static bool naive_match(const struct pattern *pattern, size_t i, const char *at)
{
	const struct pattern_token *token = &pattern->token[i];

	if (i == pattern->n)
		return *at == '\0';
	switch (token->kind) {
	case PATTERN_TEXT:
		return strncmp(at, token->text, token->len) == 0 &&
		       naive_match(pattern, i + 1, at + token->len);
	case PATTERN_CHOICE:
		return naive_choice(pattern, i, at);
	case PATTERN_ONE:
		return naive_run(pattern, i, at, 1, 1);
	case PATTERN_RUN:
	case PATTERN_DEEP:
		return naive_run(pattern, i, at, 0, SIZE_MAX);
	case PATTERN_GROUP:
		return naive_run(pattern, i, at, token->count ? token->count : 1,
				token->count ? token->count : SIZE_MAX);
	}
	return false;
}

/* Each group took a run of the path, in order, of what it may take. */
static void check_groups(
		const struct pattern *pattern, const char *path, const struct pattern_match *match)
{
	const char *at = path;
	size_t n = 0;

	for (size_t i = 0; i < pattern->n; i++) {
		const struct pattern_token *token = &pattern->token[i];
		if (token->kind != PATTERN_GROUP)
			continue;
		const char *value = match->group[n].value;
		size_t len = match->group[n++].value_len;
		FUZZ_REQUIRE(value >= at && value + len <= path + strlen(path) && len > 0);
		FUZZ_REQUIRE(token->count == 0 || token->count == len);
		for (size_t k = 0; k < len; k++)
			FUZZ_REQUIRE(naive_takes(token, value[k]));
		at = value + len;
	}
	FUZZ_REQUIRE(n == match->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_field(&data, &size, '\n');
	_cleanup_free_ char *path = fuzz_text(data, size);
	struct pattern_match match = {.n = 0};
	struct pattern pattern;
	struct reason why = {""};
	int r = pattern_compile(text, strlen(text), &why, &pattern);

	FUZZ_REQUIRE(r == 0 || (r == -EINVAL && *why.text));
	if (r < 0)
		return 0;
	bool matches = pattern_matches(&pattern, path, &match);
	if (matches)
		check_groups(&pattern, path, &match);
	const char *slash = pattern.whole ? NULL : strrchr(path, '/');
	const char *subject = slash ? slash + 1 : path;
	if (strlen(subject) <= NAIVE_SUBJECT_MAX && pattern.n <= NAIVE_TOKENS_MAX)
		FUZZ_REQUIRE(naive_match(&pattern, 0, subject) == matches);
	return 0;
}
