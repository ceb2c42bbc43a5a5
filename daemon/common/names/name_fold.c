#include "daemon/common/names/name_fold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/cleanup.h"
#include "daemon/common/names/name_punycode.h"

#define IDEOGRAPHIC_FULL_STOP 0x3002 /* a dot between labels too (RFC 3490, section 3.1) */
#define ZERO_WIDTH_NON_JOINER 0x200c
#define ZERO_WIDTH_JOINER     0x200d
#define CAPITAL_I_DOT         0x130 /* its small letter is two code points: left as it is */

int name_fold_parse(const char *word, enum name_folding *ret_folding)
{
	static const char *const words[] = {
			[NAME_EXACT] = "exact", [NAME_DNS] = "dns", [NAME_NFC] = "nfc"};

	for (size_t i = 0; i < ELEMENTSOF(words); i++) {
		if (strcmp(word, words[i]) == 0) {
			*ret_folding = (enum name_folding)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool is_blank_or_dot(int32_t c)
{
	return c == '.' || name_text_is_blank(c);
}

/* Each label's letters in the form that they are compared in. Joiners carry meaning in some
 * scripts, and IDNA2008 keeps them. */
static void dns_map_letters(struct name_text *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->n; i++) {
		int32_t c = text->c[i];
		bool joiner = c == ZERO_WIDTH_NON_JOINER || c == ZERO_WIDTH_JOINER;
		if (!joiner && name_text_is_ignorable(c))
			continue;
		if (c == IDEOGRAPHIC_FULL_STOP)
			c = '.';
		text->c[n++] = c == CAPITAL_I_DOT ? c : utf8proc_tolower(c);
	}
	text->n = n;
}

/* Small letters of compatible forms, composed. Twice: a small letter may compose with what follows
 * it where its capital did not. */
static int dns_map(struct name_text *text)
{
	int r = 0;

	for (int turn = 0; turn < 2 && r == 0; turn++) {
		r = name_text_normalise(text, NAME_FORM_NFKC);
		if (r == 0)
			dns_map_letters(text);
	}
	return r == 0 ? name_text_normalise(text, NAME_FORM_NFC) : r;
}

/* Whether the letters of a Punycode label are ones that an encoder takes: in the form that
 * dns_map() makes, not ASCII alone, and without what would end the label. */
static bool dns_accepts(const struct name_text *letters)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct name_text mapped = {0};
	bool beyond_ascii = false;
	size_t len, mapped_len;

	/* Hyphens there are for Punycode only (RFC 5891, section 4.2.3.1). */
	if (letters->n >= 4 && letters->c[2] == '-' && letters->c[3] == '-')
		return false;
	for (size_t i = 0; i < letters->n; i++) {
		if (letters->c[i] == '.' || letters->c[i] == '@' ||
				name_text_is_blank(letters->c[i]) ||
				utf8proc_category(letters->c[i]) == UTF8PROC_CATEGORY_CC)
			return false;
		beyond_ascii = beyond_ascii || letters->c[i] > 0x7f;
	}
	int r = beyond_ascii ? name_text_write(letters, &before, &len) : -EINVAL;
	if (r == 0)
		r = name_text_read(before, len, &mapped);
	if (r == 0)
		r = dns_map(&mapped);
	if (r == 0)
		r = name_text_write(&mapped, &after, &mapped_len);
	name_text_free(&mapped);
	return r == 0 && len == mapped_len && memcmp(before, after, len) == 0;
}

static int fold_dns(struct name_text *text)
{
	int r = dns_map(text);

	if (r < 0)
		return r;
	/* First, so that the last label ends where it will. */
	if (!name_text_trim(text, name_text_is_blank, is_blank_or_dot))
		return -EINVAL;
	return name_punycode_decode_labels(text, dns_accepts);
}

static int fold_nfc(struct name_text *text)
{
	int r = name_text_normalise(text, NAME_FORM_NFC);

	return r == 0 && !name_text_trim(text, name_text_is_blank, is_blank_or_dot) ? -EINVAL : r;
}

int name_fold(enum name_folding folding, const char *name, char **ret_folded)
{
	struct name_text text = {0};
	char *folded = NULL;
	size_t len;
	int r = folding == NAME_EXACT ? -EINVAL : name_text_read(name, strlen(name), &text);

	if (r == NAME_TEXT_NOT_UTF8)
		r = -EINVAL;
	if (r == 0)
		r = folding == NAME_DNS ? fold_dns(&text) : fold_nfc(&text);
	if (r == 0)
		r = name_text_write(&text, &folded, &len);
	name_text_free(&text);
	if (r == -EINVAL) /* it stays as it is */
		folded = strdup(name);
	if (!folded)
		return -ENOMEM;
	*ret_folded = folded;
	return 0;
}
