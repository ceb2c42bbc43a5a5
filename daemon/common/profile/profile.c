#include "daemon/common/profile/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/profile/profile_template.h"
#include "daemon/common/profile/profile_time.h"

/* One word of a list; a template is kept as text, too, to put values into. */
struct word {
	const char *text;
	size_t len;
	bool prompt; /* "!pattern" of Files=: the bridge plays such files */
	struct pattern pattern;
};

struct words {
	size_t n;
	struct word word[PROFILE_LIST_MAX];
};

struct profile {
	const struct profile_text *text;
	struct words files, ignore, rewritten, accounts, recorded, list[PROFILE_LISTS];
};

/* ---- Compiling ---- */

static const char *name_in(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool any_matches(const struct words *words, const char *path, struct pattern_match *match)
{
	for (size_t i = 0; i < words->n; i++) {
		if (pattern_matches(&words->word[i].pattern, path, match))
			return true;
	}
	return false;
}

enum word_use { USE_PATTERN, USE_FILES, USE_TEMPLATE, USE_SIDECAR, USE_ACCOUNT, USE_TIME };

/* Whether some pattern of the recordings has this group. */
static bool is_group(const struct profile *profile, const char *name, size_t len)
{
	for (size_t i = 0; i < profile->files.n; i++) {
		const struct pattern *p = &profile->files.word[i].pattern;
		for (size_t k = 0; k < p->n; k++) {
			if (p->token[k].kind == PATTERN_GROUP && p->token[k].len == len &&
					memcmp(p->token[k].text, name, len) == 0)
				return true;
		}
	}
	return false;
}

static int check_variable(const struct profile *profile,
		const struct profile_template_variable *variable, enum word_use use,
		struct reason *reason)
{
	bool meta = profile_template_is_meta(variable);

	if (meta && use != USE_ACCOUNT)
		return reason_set(reason, -RE_CONFIG, "a {meta.} value is for Account= only");
	if (meta && profile->list[PROFILE_SIDECARS].n == 0)
		return reason_set(reason, -RE_CONFIG,
				"a {meta.} value comes from a sidecar, and there is no Sidecar=");
	if (meta && !profile_template_is_formed(variable))
		return reason_set(reason, -RE_CONFIG,
				"a {meta.} value has no form but :path and :host");
	if (!meta && !profile_template_is_own(variable) &&
			!is_group(profile, variable->name, variable->len))
		return reason_set(reason, -RE_CONFIG, "a value in {} is in no pattern of Files=");
	return 0;
}

/* Checks a template's variables: 0, -RE_CONFIG. */
static int check_variables(const struct profile *profile, const struct word *word,
		enum word_use use, struct reason *reason)
{
	const char *at = word->text, *end = word->text + word->len;
	struct profile_template_variable variable;
	int r = 0;

	while (r == 0 && profile_template_next(&at, end, &variable))
		r = check_variable(profile, &variable, use, reason);
	return r;
}

static bool is_pattern(const struct word *word)
{
	return memchr(word->text, '*', word->len) != NULL;
}

/* Whether a path has ".." for one of its parts. */
static bool goes_up(const char *path, size_t len)
{
	for (const char *at = path, *end = path + len; at < end;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		if (!slash)
			slash = end;
		if (slash - at == 2 && at[0] == '.' && at[1] == '.')
			return true;
		at = slash + 1;
	}
	return false;
}

/* A template is a pattern, too: of every path it may be. 0, -RE_CONFIG. */
static int compile_word(const struct profile *profile, struct word *word, enum word_use use,
		struct reason *reason)
{
	if (use == USE_FILES) {
		word->prompt = *word->text == '!';
		word->text += word->prompt;
		word->len -= word->prompt;
		use = USE_PATTERN;
	}
	if (use == USE_SIDECAR && is_pattern(word)) {
		if (memchr(word->text, '{', word->len) || memchr(word->text, '/', word->len))
			return reason_set(
					reason, -RE_CONFIG, "a sidecar with a * has no { and no /");
		use = USE_PATTERN;
	}
	if (use == USE_SIDECAR && goes_up(word->text, word->len))
		return reason_set(reason, -RE_CONFIG,
				"a sidecar lies beside its recording or below, or has a path from "
				"the spool");
	if (use != USE_PATTERN) {
		int r = check_variables(profile, word, use, reason);
		if (r < 0)
			return r;
		if (strcspn(word->text, "*?()") < word->len)
			return reason_set(reason, -RE_CONFIG, "only a pattern has * ? ( )");
	}
	/* An account is no path, nor is a time: nothing is matched against them. */
	if (use != USE_ACCOUNT && use != USE_TIME &&
			pattern_compile(word->text, word->len, reason, &word->pattern) < 0)
		return -RE_CONFIG;
	return 0;
}

/* 0, or -RE_CONFIG with a reason that begins with the key and the word. */
static int compile_list(struct profile *profile, const char *key, const char *text,
		struct words *words, size_t max, enum word_use use, struct reason *reason)
{
	const char *at = text ? text : "";

	for (at += strspn(at, " \t"); *at; at += strspn(at, " \t")) {
		size_t len = strcspn(at, " \t");
		int r;
		if (words->n == max) {
			r = reason_set(reason, -RE_CONFIG, "there are too many of them");
		} else {
			struct word *word = &words->word[words->n++];
			word->text = at;
			word->len = len;
			r = compile_word(profile, word, use, reason);
		}
		if (r < 0) {
			reason_prefix(reason, "%s=%.*s", key, (int)len, at);
			return r;
		}
		at += len;
	}
	return 0;
}

static int compile_lists(struct profile *p, struct reason *reason)
{
	const struct profile_text *text = p->text;
	const struct {
		const char *key, *text;
		struct words *words;
		size_t max;
		enum word_use use;
	} lists[] = {
			{"Files", text->files, &p->files, PROFILE_LIST_MAX, USE_FILES},
			{"Ignore", text->ignore, &p->ignore, PROFILE_LIST_MAX, USE_PATTERN},
			{"Ignore", text->ignore_too, &p->ignore, PROFILE_LIST_MAX, USE_PATTERN},
			{"Rewritten", text->rewritten, &p->rewritten, PROFILE_LIST_MAX,
					USE_PATTERN},
			{"Finished", text->finished, &p->list[PROFILE_FINISHED],
					PROFILE_SIDECARS_MAX, USE_TEMPLATE},
			{"Unfinished", text->unfinished, &p->list[PROFILE_UNFINISHED],
					PROFILE_SIDECARS_MAX, USE_TEMPLATE},
			{"Discard", text->discard, &p->list[PROFILE_DISCARD], PROFILE_SIDECARS_MAX,
					USE_TEMPLATE},
			{"Sidecar", text->sidecars, &p->list[PROFILE_SIDECARS],
					PROFILE_SIDECARS_MAX, USE_SIDECAR},
			{"Account", text->accounts, &p->accounts, PROFILE_LIST_MAX, USE_ACCOUNT},
			{"Recorded", text->recorded, &p->recorded, PROFILE_LIST_MAX, USE_TIME},
	};
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(lists) && r == 0; i++)
		r = compile_list(p, lists[i].key, lists[i].text, lists[i].words, lists[i].max,
				lists[i].use, reason);
	return r;
}

/* The i-th of a choice, or its last. */
static void put_choice(FILE *f, const struct pattern_token *token, size_t i)
{
	const char *at = token->text, *end = token->text + token->len, *bar;

	for (; (bar = memchr(at, '|', (size_t)(end - at))) && i > 0; i--)
		at = bar + 1;
	fwrite(at, 1, (size_t)((bar ? bar : end) - at), f);
}

static void put_example(FILE *f, const struct pattern_token *token, size_t i)
{
	unsigned n = token->kind == PATTERN_ONE ? 1 : token->count;

	if (token->kind == PATTERN_TEXT)
		fwrite(token->text, 1, token->len, f);
	else if (token->kind == PATTERN_CHOICE)
		put_choice(f, token, i);
	else if (token->digits)
		fprintf(f, "%0*d", (int)n, 1);
	else if (n > 0)
		fprintf(f, "%.*s", (int)n,
				"exampleexampleexampleexampleexampleexampleexampleexampleexample!");
	else
		fputs(token->kind == PATTERN_DEEP && i % 2 ? "some/example" : "example", f);
}

/* A path that the pattern matches, with the i-th of each choice, each second one in a folder when
 * it may be; malloc'd, NULL: no memory. */
static char *example_of(const struct pattern *pattern, size_t i)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (!pattern->whole && i % 2)
		fputs("some/", f);
	for (size_t k = 0; k < pattern->n; k++)
		put_example(f, &pattern->token[k], i);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* Whether some file can be a recording. Where a marker's or a sidecar's template is that of every
 * file, all would be passed over in silence. */
static int check_recordings(const struct profile *profile, struct reason *reason)
{
	struct pattern_match match;

	for (size_t i = 0; i < profile->files.n; i++) {
		const struct word *word = &profile->files.word[i];
		for (size_t choice = 0; !word->prompt && choice <= word->len; choice++) {
			_cleanup_free_ char *example = example_of(&word->pattern, choice);
			if (!example)
				return -ENOMEM;
			if (profile_classify(profile, example, &match) == PROFILE_RECORDING)
				return 0;
		}
	}
	return reason_set(reason, -RE_CONFIG,
			"what Files= matches is all matched by Ignore=, a marker or a sidecar, "
			"too");
}

int profile_compile(const struct profile_text *text, struct reason *reason,
		struct profile **ret_profile)
{
	struct profile *profile = calloc(1, sizeof(*profile));

	if (!profile)
		return -ENOMEM;
	profile->text = text;
	int r = compile_lists(profile, reason);
	if (r == 0)
		r = check_recordings(profile, reason);
	if (r < 0) {
		profile_free(profile);
		return r;
	}
	*ret_profile = profile;
	return 0;
}

struct profile *profile_free(struct profile *profile)
{
	free(profile);
	return NULL;
}

const struct profile_text *profile_text_of(const struct profile *profile)
{
	return profile->text;
}

/* ---- Using ---- */

enum profile_kind profile_classify(
		const struct profile *profile, const char *path, struct pattern_match *ret_match)
{
	struct pattern_match unused;

	if (any_matches(&profile->ignore, path, &unused))
		return PROFILE_BESIDE;
	for (size_t i = 0; i < PROFILE_LISTS; i++) {
		if (any_matches(&profile->list[i], path, &unused))
			return PROFILE_BESIDE;
	}
	for (size_t i = 0; i < profile->files.n; i++) {
		const struct word *word = &profile->files.word[i];
		if (pattern_matches(&word->pattern, path, ret_match))
			return word->prompt ? PROFILE_PROMPT : PROFILE_RECORDING;
	}
	return PROFILE_FOREIGN;
}

bool profile_is_ignored(const struct profile *profile, const char *path)
{
	struct pattern_match unused;

	return any_matches(&profile->ignore, path, &unused);
}

bool profile_is_rewritten(const struct profile *profile, const char *path)
{
	struct pattern_match unused;

	return any_matches(&profile->rewritten, path, &unused);
}

bool profile_matches(
		const struct profile *profile, const char *path, struct pattern_match *ret_match)
{
	return any_matches(&profile->files, path, ret_match);
}

bool profile_may_be(const struct profile *profile, enum profile_list list, const char *path)
{
	struct pattern_match unused;

	return any_matches(&profile->list[list], path, &unused);
}

size_t profile_count(const struct profile *profile, enum profile_list list)
{
	return profile->list[list].n;
}

int profile_locate(const struct profile *profile, enum profile_list list, size_t i,
		const char *path, const struct pattern_match *match, char **ret_place,
		bool *ret_at_markers)
{
	const struct word *word = &profile->list[list].word[i];
	const struct profile_template_values values = {.path = path, .match = match};
	bool rooted = word->text[0] == '/';
	_cleanup_free_ char *text = NULL;
	char *place;
	int r = profile_template_expand(word->text, word->len, &values, &text);

	if (r < 0)
		return r;
	/* Sidecars are removed: no name of a recording leads to one of another folder. */
	if (list == PROFILE_SIDECARS && goes_up(text, strlen(text)))
		return -ENOENT;
	int folder = rooted ? 0 : (int)(name_in(path) - path);
	if (asprintf(&place, "%.*s%s", folder, path, rooted ? text + 1 : text) < 0)
		return -ENOMEM;
	*ret_place = place;
	*ret_at_markers = rooted && profile->text->markers;
	return 0;
}

bool profile_sidecar_is_pattern(const struct profile *profile, size_t i)
{
	return is_pattern(&profile->list[PROFILE_SIDECARS].word[i]);
}

bool profile_sidecar_matches(const struct profile *profile, size_t i, const char *name)
{
	struct pattern_match unused;

	return pattern_matches(&profile->list[PROFILE_SIDECARS].word[i].pattern, name, &unused);
}

enum profile_sharing profile_sidecar_sharing(const struct profile *profile, size_t i)
{
	const struct word *word = &profile->list[PROFILE_SIDECARS].word[i];

	/* Recordings of several folders, even of one name, may lead to the same path. */
	if (word->text[0] == '/')
		return PROFILE_SHARED_IN_SPOOL;
	return memmem(word->text, word->len, "{name}", 6) ? PROFILE_UNSHARED
							  : PROFILE_SHARED_IN_FOLDER;
}

int profile_account(const struct profile *profile, const char *path,
		const struct pattern_match *match, profile_template_meta meta, void *context,
		char **ret_account)
{
	const struct profile_template_values values = {path, match, meta, context};

	for (size_t i = 0; i < profile->accounts.n; i++) {
		const struct word *word = &profile->accounts.word[i];
		char *account;
		int r = profile_template_expand(word->text, word->len, &values, &account);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		*ret_account = account;
		return 0;
	}
	return -ENOENT;
}

int profile_recorded(const struct profile *profile, const char *path,
		const struct pattern_match *match, int64_t *ret_us)
{
	const struct profile_template_values values = {.path = path, .match = match};

	for (size_t i = 0; i < profile->recorded.n; i++) {
		const struct word *word = &profile->recorded.word[i];
		_cleanup_free_ char *text = NULL;
		int r = profile_template_expand(word->text, word->len, &values, &text);
		if (r == 0 && profile_time_parse(text, ret_us) == 0)
			return 0;
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

bool profile_needs_meta(const struct profile *profile)
{
	for (size_t i = 0; i < profile->accounts.n; i++) {
		const struct word *word = &profile->accounts.word[i];
		if (memmem(word->text, word->len, "{meta.", 6))
			return true;
	}
	return false;
}
