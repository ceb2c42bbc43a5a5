#include "daemon/common/names/name_look.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/cleanup.h"
#include "daemon/common/names/name_punycode.h"

#define PHONE_DIGITS_MIN 7 /* below that "1-23" may be a room */
#define PORT_DIGITS_MAX  5

static int look_hex(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Undoes the %XX of URLs, in bytes, where several of them may be one letter. */
static size_t look_decode_percent(uint8_t *bytes, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; n++) {
		int high = bytes[i] == '%' && i + 2 < len ? look_hex(bytes[i + 1]) : -1;
		int low = high >= 0 ? look_hex(bytes[i + 2]) : -1;
		bytes[n] = (uint8_t)(low >= 0 ? high << 4 | low : bytes[i]);
		i += low >= 0 ? 3 : 1;
	}
	return n;
}

static bool accept_any(const struct name_text *letters)
{
	return true;
}

/* One of each kind; 0 for what is not seen. */
static int32_t look_character(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);

	if (c == '_' || (name_text_is_blank(c) && !name_text_is_ignorable(c)))
		return ' ';
	if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
			name_text_is_ignorable(c))
		return 0;
	if (category == UTF8PROC_CATEGORY_PD || c == 0x2212 /* minus */)
		return '-';
	if ((c >= 0x2018 && c <= 0x201b) || c == 0x2bc || c == '`')
		return '\'';
	if ((c >= 0x201c && c <= 0x201f) || c == 0xab || c == 0xbb)
		return '"';
	return c == 0x3002 /* ideographic full stop */ ? '.' : c;
}

static void look_characters(struct name_text *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->n; i++) {
		int32_t c = look_character(text->c[i]);
		if (c != 0 && !(c == ' ' && n > 0 && text->c[n - 1] == ' '))
			text->c[n++] = c;
	}
	/* Of a name that nobody sees, at least that much. */
	if (n == 0)
		text->c[n++] = ' ';
	text->n = n;
}

static bool is_dropped_at_ends(int32_t c)
{
	return c > 0 && c < 0x80 && strchr(" ./\\\"'<>", (char)c) != NULL;
}

static void look_trim(struct name_text *text)
{
	(void)name_text_trim(text, is_dropped_at_ends, is_dropped_at_ends);
}

static void look_cut_first(struct name_text *text, size_t count)
{
	text->n -= count;
	memmove(text->c, text->c + count, text->n * sizeof(*text->c));
}

/* "sip:4711@pbx;transport=udp" is 4711@pbx. */
static void look_drop_scheme(struct name_text *text)
{
	static const char *const schemes[] = {"sip:", "sips:", "tel:", "mailto:", "xmpp:"};

	for (size_t i = 0; i < ELEMENTSOF(schemes); i++) {
		size_t len = strlen(schemes[i]), same = 0;
		while (same < len && same < text->n && text->c[same] == schemes[i][same])
			same++;
		if (same < len || text->n == len)
			continue;
		look_cut_first(text, len);
		for (size_t k = 1; k < text->n; k++) {
			if (text->c[k] == ';' || text->c[k] == '?')
				text->n = k;
		}
		return;
	}
}

static bool look_is_digit(int32_t c)
{
	return c >= '0' && c <= '9';
}

/* "pbx.example:5060": digits behind the only colon. An IPv6 address has more of them. */
static void look_drop_port(struct name_text *text)
{
	size_t digits = 0, colons = 0;

	for (size_t i = 0; i < text->n; i++)
		colons += text->c[i] == ':';
	while (digits < text->n && look_is_digit(text->c[text->n - 1 - digits]))
		digits++;
	if (colons == 1 && digits > 0 && digits <= PORT_DIGITS_MAX && digits + 1 < text->n &&
			text->c[text->n - 1 - digits] == ':')
		text->n -= digits + 1;
}

/* Only the digits of a telephone number, without "+" or "00" before them. */
static void look_phone(struct name_text *text)
{
	size_t digits = 0, n = 0;

	for (size_t i = 0; i < text->n; i++) {
		int32_t c = text->c[i];
		if (!look_is_digit(c) && !(c == '+' && i == 0) &&
				!(c > 0 && c < 0x80 && strchr(" -./()", (char)c)))
			return;
		digits += look_is_digit(c);
	}
	if (digits < PHONE_DIGITS_MIN)
		return;
	for (size_t i = 0; i < text->n; i++) {
		if (look_is_digit(text->c[i]))
			text->c[n++] = text->c[i];
	}
	text->n = n;
	if (n > 2 + PHONE_DIGITS_MIN && text->c[0] == '0' && text->c[1] == '0')
		look_cut_first(text, 2);
}

/* Letters first: what they are decoded to and mapped to may be letters of the other kind. */
static int look_letters(struct name_text *text)
{
	int r = name_text_normalise(text, NAME_FORM_CASEFOLD);

	if (r == 0)
		look_characters(text);
	if (r == 0)
		r = name_punycode_decode_labels(text, accept_any);
	if (r == 0)
		r = name_text_normalise(text, NAME_FORM_CASEFOLD);
	if (r == 0)
		look_characters(text);
	return r;
}

static int look_text(struct name_text *text)
{
	int r = look_letters(text);

	if (r < 0)
		return r;
	look_trim(text);
	look_drop_scheme(text);
	look_trim(text);
	look_drop_port(text);
	look_trim(text);
	look_phone(text);
	return 0;
}

int name_look(const void *name, size_t len, char **ret_look, size_t *ret_len)
{
	uint8_t *bytes = malloc(len + 1);
	struct name_text text = {0};

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, name, len);
	size_t n = look_decode_percent(bytes, len);
	int r = name_text_read(bytes, n, &text);
	sodium_memzero(bytes, len);
	free(bytes);
	if (r >= 0)
		r = look_text(&text);
	if (r == 0)
		r = name_text_write(&text, ret_look, ret_len);
	name_text_free(&text);
	return r;
}
