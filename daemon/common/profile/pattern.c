#include "daemon/common/profile/pattern.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define COUNT_MAX 64

/* ---- Compiling ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

/* What follows the group's name: ":10d". False for anything else. */
static bool read_count(const char *text, size_t len, struct pattern_token *token)
{
	size_t i = 1;

	if (len < 2 || text[0] != ':')
		return len == 0;
	for (; i < len && is_digit(text[i]); i++) {
		token->count = token->count * 10 + (unsigned)(text[i] - '0');
		if (token->count > COUNT_MAX)
			return false;
	}
	if (i > 1 && token->count == 0)
		return false;
	token->digits = i < len && text[i] == 'd';
	return i + token->digits == len;
}

/* "{name}": returns its length, or 0 when it is none. */
static size_t read_group(const char *text, size_t len, struct pattern_token *token)
{
	const char *end = memchr(text, '}', len);
	size_t name = 0;

	if (!end)
		return 0;
	size_t inner = (size_t)(end - text) - 1;
	while (name < inner && is_name(text[1 + name]))
		name++;
	*token = (struct pattern_token){.kind = PATTERN_GROUP, .text = text + 1, .len = name};
	return name > 0 && read_count(text + 1 + name, inner - name, token) ? inner + 2 : 0;
}

static size_t read_choice(const char *text, size_t len, struct pattern_token *token)
{
	const char *end = memchr(text, ')', len);

	bool any_case = len > 1 && text[1] == '~';
	const char *first = text + 1 + any_case;

	if (!end || end <= first)
		return 0;
	*token = (struct pattern_token){.kind = PATTERN_CHOICE,
			.text = first,
			.len = (size_t)(end - first),
			.any_case = any_case};
	for (const char *at = first; at < end; at++) {
		size_t word = strcspn(at, "|)");
		token->longest = word > token->longest ? word : token->longest;
		at += word;
	}
	return (size_t)(end - text) + 1;
}

static size_t read_token(const char *text, size_t len, struct pattern_token *token)
{
	size_t n = 0;

	switch (*text) {
	case '?':
		*token = (struct pattern_token){.kind = PATTERN_ONE};
		return 1;
	case '*':
		n = len > 1 && text[1] == '*' ? 2 : 1;
		*token = (struct pattern_token){.kind = n == 2 ? PATTERN_DEEP : PATTERN_RUN};
		return n;
	case '(':
		return read_choice(text, len, token);
	case '{':
		return read_group(text, len, token);
	case ')':
	case '}':
		return 0;
	}
	while (n < len && !strchr("?*(){}", text[n]))
		n++;
	*token = (struct pattern_token){.kind = PATTERN_TEXT, .text = text, .len = n};
	return n;
}

int pattern_compile(
		const char *text, size_t len, struct reason *reason, struct pattern *ret_pattern)
{
	struct pattern pattern = {.whole = memchr(text, '/', len) != NULL};
	size_t groups = 0;

	if (len > 0 && *text == '/') {
		text++;
		len--;
	}
	while (len > 0) {
		if (pattern.n == PATTERN_TOKENS_MAX)
			return reason_set(reason, -EINVAL, "has too many parts");
		size_t n = read_token(text, len, &pattern.token[pattern.n]);
		if (n == 0)
			return reason_set(reason, -EINVAL,
					"has a bracket that is not closed, not opened, or holds "
					"nothing that is understood");
		groups += pattern.token[pattern.n++].kind == PATTERN_GROUP;
		text += n;
		len -= n;
	}
	if (pattern.n == 0)
		return reason_set(reason, -EINVAL, "is empty");
	if (groups > PATTERN_GROUPS_MAX)
		return reason_set(reason, -EINVAL, "has too many {groups}");
	*ret_pattern = pattern;
	return 0;
}

/* ---- Matching ---- */

/* row[i] has a bit for every position in the subject: from there, token i and those after it reach
 * exactly the end. */
struct table {
	const char *subject;
	size_t len;
	size_t n_tokens;
	uint8_t row[PATTERN_TOKENS_MAX + 1][(PATTERN_SUBJECT_MAX + 8) / 8];
};

static bool reaches_end(const struct table *t, size_t i, size_t at)
{
	return at <= t->len && (t->row[i][at / 8] >> (at % 8) & 1);
}

static bool token_takes(const struct pattern_token *token, char c)
{
	if (token->kind == PATTERN_DEEP)
		return true;
	return c != '/' && (!token->digits || is_digit(c));
}

static bool takes_count(const struct pattern_token *token, const struct table *t, size_t at)
{
	if (t->len - at < token->count)
		return false;
	for (size_t k = 0; k < token->count; k++) {
		if (!token_takes(token, t->subject[at + k]))
			return false;
	}
	return true;
}

static bool text_at(const struct table *t, size_t at, const char *text, size_t len, bool any_case)
{
	if (t->len - at < len)
		return false;
	return any_case ? strncasecmp(t->subject + at, text, len) == 0
			: memcmp(t->subject + at, text, len) == 0;
}

/* How many characters the first choice that leads to the end takes; -1 for none. */
static long choice_at(const struct pattern_token *token, const struct table *t, size_t i, size_t at)
{
	const char *text = token->text, *end = token->text + token->len;

	/* The lists of extensions are long, and come last. */
	if (i + 1 == t->n_tokens && t->len - at > token->longest)
		return -1;
	for (;;) {
		const char *bar = memchr(text, '|', (size_t)(end - text));
		size_t len = (size_t)((bar ? bar : end) - text);
		if (reaches_end(t, i + 1, at + len) && text_at(t, at, text, len, token->any_case))
			return (long)len;
		if (!bar)
			return -1;
		text = bar + 1;
	}
}

static bool token_reaches(
		const struct pattern_token *token, const struct table *t, size_t i, size_t at)
{
	bool one = at < t->len && token_takes(token, t->subject[at]);

	switch (token->kind) {
	case PATTERN_TEXT:
		return text_at(t, at, token->text, token->len, false) &&
		       reaches_end(t, i + 1, at + token->len);
	case PATTERN_ONE:
		return one && reaches_end(t, i + 1, at + 1);
	case PATTERN_RUN:
	case PATTERN_DEEP:
		return reaches_end(t, i + 1, at) || (one && reaches_end(t, i, at + 1));
	case PATTERN_CHOICE:
		return choice_at(token, t, i, at) >= 0;
	case PATTERN_GROUP:
		if (token->count > 0)
			return takes_count(token, t, at) &&
			       reaches_end(t, i + 1, at + token->count);
		return one && (reaches_end(t, i + 1, at + 1) || reaches_end(t, i, at + 1));
	}
	return false;
}

static void fill_table(struct table *t, const struct pattern *pattern)
{
	size_t bytes = t->len / 8 + 1;

	memset(t->row[pattern->n], 0, bytes);
	t->row[pattern->n][t->len / 8] = (uint8_t)(1 << (t->len % 8));
	for (size_t i = pattern->n; i-- > 0;) {
		memset(t->row[i], 0, bytes);
		for (size_t at = t->len + 1; at-- > 0;) {
			if (token_reaches(&pattern->token[i], t, i, at))
				t->row[i][at / 8] |= (uint8_t)(1 << (at % 8));
		}
	}
}

/* Where token i ends when it begins at a position from which the end is reached: as far on as
 * possible. */
static size_t token_end(
		const struct pattern_token *token, const struct table *t, size_t i, size_t at)
{
	switch (token->kind) {
	case PATTERN_TEXT:
		return at + token->len;
	case PATTERN_ONE:
		return at + 1;
	case PATTERN_CHOICE:
		return at + (size_t)choice_at(token, t, i, at);
	case PATTERN_GROUP:
		if (token->count > 0)
			return at + token->count;
		for (at++; at < t->len && reaches_end(t, i, at);)
			at++;
		return at;
	case PATTERN_RUN:
	case PATTERN_DEEP:
		while (at < t->len && token_takes(token, t->subject[at]) &&
				reaches_end(t, i, at + 1))
			at++;
		return at;
	}
	return at;
}

bool pattern_matches(
		const struct pattern *pattern, const char *path, struct pattern_match *ret_match)
{
	const char *slash = pattern->whole ? NULL : strrchr(path, '/');
	struct pattern_match match = {.n = 0};
	struct table t;

	t.subject = slash ? slash + 1 : path;
	t.len = strlen(t.subject);
	t.n_tokens = pattern->n;
	if (t.len > PATTERN_SUBJECT_MAX)
		return false;
	fill_table(&t, pattern);
	if (!reaches_end(&t, 0, 0))
		return false;
	for (size_t i = 0, at = 0; i < pattern->n; i++) {
		const struct pattern_token *token = &pattern->token[i];
		size_t end = token_end(token, &t, i, at);
		if (token->kind == PATTERN_GROUP) {
			match.group[match.n].name = token->text;
			match.group[match.n].name_len = token->len;
			match.group[match.n].value = t.subject + at;
			match.group[match.n++].value_len = end - at;
		}
		at = end;
	}
	*ret_match = match;
	return true;
}

const char *pattern_value(const struct pattern_match *match, const char *name, size_t name_len,
		size_t *ret_len)
{
	for (size_t i = 0; i < match->n; i++) {
		if (match->group[i].name_len == name_len &&
				memcmp(match->group[i].name, name, name_len) == 0) {
			*ret_len = match->group[i].value_len;
			return match->group[i].value;
		}
	}
	return NULL;
}
