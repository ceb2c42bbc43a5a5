#include "daemon/common/names/name_text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/cleanup.h"

#define UTF8_MAX 4 /* bytes of a code point */

/* A mapping may need a second look at what it made; more turns change nothing. */
#define TURNS_MAX 4

int name_text_reserve(size_t n, struct name_text *ret_text)
{
	*ret_text = (struct name_text){.c = calloc(n + 1, sizeof(int32_t))};
	return ret_text->c ? 0 : -ENOMEM;
}

void name_text_free(struct name_text *text)
{
	if (text->c)
		sodium_memzero(text->c, text->n * sizeof(*text->c));
	free(text->c);
	*text = (struct name_text){0};
}

int name_text_read(const void *bytes, size_t len, struct name_text *ret_text)
{
	const uint8_t *p = bytes;
	struct name_text text;
	int r = name_text_reserve(len, &text);

	for (size_t i = 0; r >= 0 && i < len;) {
		utf8proc_ssize_t n = utf8proc_iterate(
				p + i, (utf8proc_ssize_t)(len - i), &text.c[text.n]);
		if (n <= 0) {
			text.c[text.n] = p[i];
			r = NAME_TEXT_NOT_UTF8;
			n = 1;
		}
		text.n++;
		i += (size_t)n;
	}
	if (r >= 0)
		*ret_text = text;
	return r;
}

int name_text_write(const struct name_text *text, char **ret_utf8, size_t *ret_len)
{
	uint8_t *utf8 = malloc(text->n * UTF8_MAX + 1);
	size_t len = 0;

	if (!utf8)
		return -ENOMEM;
	for (size_t i = 0; i < text->n; i++)
		len += (size_t)utf8proc_encode_char(text->c[i], utf8 + len);
	utf8[len] = '\0';
	*ret_utf8 = (char *)utf8;
	*ret_len = len;
	return 0;
}

static utf8proc_option_t form_options(enum name_form form)
{
	int options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;

	if (form != NAME_FORM_NFC)
		options |= UTF8PROC_COMPAT;
	if (form == NAME_FORM_CASEFOLD)
		options |= UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
	return (utf8proc_option_t)options;
}

static int text_normalise_utf8(
		const char *utf8, size_t len, utf8proc_option_t options, struct name_text *ret_text)
{
	const uint8_t *bytes = (const uint8_t *)utf8;
	struct name_text text;
	utf8proc_ssize_t n = utf8proc_decompose(bytes, (utf8proc_ssize_t)len, NULL, 0, options);
	/* It is UTF-8, so that only memory can be missing. */
	int r = n < 0 ? -ENOMEM : name_text_reserve((size_t)n, &text);

	if (r < 0)
		return r;
	n = utf8proc_decompose(bytes, (utf8proc_ssize_t)len, text.c, n, options);
	if (n >= 0)
		n = utf8proc_normalize_utf32(text.c, n, options);
	if (n < 0) {
		name_text_free(&text);
		return -ENOMEM;
	}
	text.n = (size_t)n;
	*ret_text = text;
	return 0;
}

static bool text_is_same(const struct name_text *a, const struct name_text *b)
{
	return a->n == b->n && memcmp(a->c, b->c, a->n * sizeof(*a->c)) == 0;
}

/* 1 when nothing changed. */
static int text_normalise_once(struct name_text *text, utf8proc_option_t options)
{
	_cleanup_free_ char *utf8 = NULL;
	struct name_text made;
	size_t len;
	int r = name_text_write(text, &utf8, &len);

	if (r < 0)
		return r;
	r = text_normalise_utf8(utf8, len, options, &made);
	sodium_memzero(utf8, len);
	if (r < 0)
		return r;
	bool same = text_is_same(text, &made);
	name_text_free(text);
	*text = made;
	return same;
}

int name_text_normalise(struct name_text *text, enum name_form form)
{
	int r = 0;

	for (int turn = 0; turn < TURNS_MAX && r == 0; turn++)
		r = text_normalise_once(text, form_options(form));
	return r < 0 ? r : 0;
}

bool name_text_is_ignorable(int32_t c)
{
	return utf8proc_get_property(c)->ignorable;
}

bool name_text_is_blank(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
	       category == UTF8PROC_CATEGORY_ZP || (c >= '\t' && c <= '\r') || c == 0x85 ||
	       c == 0x2800 /* Braille, no dot */ || name_text_is_ignorable(c);
}

bool name_text_trim(
		struct name_text *text, bool (*drop_first)(int32_t c), bool (*drop_last)(int32_t c))
{
	size_t first = 0, end = text->n;

	while (first < end && drop_first(text->c[first]))
		first++;
	while (end > first && drop_last(text->c[end - 1]))
		end--;
	if (first == end)
		return false;
	memmove(text->c, text->c + first, (end - first) * sizeof(*text->c));
	text->n = end - first;
	return true;
}
