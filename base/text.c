#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t text_utf8_sequence(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	size_t n = p[0] >= 0xf0 && p[0] < 0xf8   ? 4
		   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		   : p[0] >= 0xc0 && p[0] < 0xe0 ? 2
						 : 0;
	if (n == 0 || n > len)
		return 0;
	uint32_t c = p[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

/* Controls, and the marks that reorder what follows them (Unicode TR 36, "Trojan Source"). */
static bool is_unsafe(const uint8_t *p, size_t n)
{
	if (n == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (n == 2)
		return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c);
	if (n == 3 && p[0] == 0xe2 && p[1] == 0x80)
		return p[2] == 0xa8 || p[2] == 0xa9 || (p[2] >= 0xaa && p[2] <= 0xae) ||
		       p[2] == 0x8e || p[2] == 0x8f;
	return n == 3 && p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

char *text_printable(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	char *text = malloc(4 * len + 1), *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t n = text_utf8_sequence(p + i, len - i);
		if (n == 0 || is_unsafe(p + i, n)) {
			size_t bad = n ? n : 1;
			for (size_t k = 0; k < bad; k++)
				out += sprintf(out, "\\x%02x", p[i + k]);
			i += bad;
		} else {
			if (p[i] == '\\')
				*out++ = '\\';
			memcpy(out, p + i, n);
			out += n;
			i += n;
		}
	}
	*out = '\0';
	return text;
}

/* Code points that take no ink: spaces, controls, format characters (except the signs that
 * enclose a number), and what Unicode calls default ignorable (DerivedCoreProperties); the
 * fillers and the blank among the letters; noncharacters. */
static bool code_point_is_visible(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} invisible[] = {{0x0, 0x20}, {0x7f, 0xa0}, {0xad, 0xad}, {0x34f, 0x34f}, {0x61c, 0x61c},
			{0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
			{0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x2800, 0x2800},
			{0x3000, 0x3000}, {0x3164, 0x3164}, {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f},
			{0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x13430, 0x13438},
			{0x1bca0, 0x1bca3}, {0x1d159, 0x1d159}, {0x1d173, 0x1d17a},
			{0xe0000, 0xe0fff}};

	for (size_t i = 0; i < sizeof(invisible) / sizeof(invisible[0]); i++) {
		if (c >= invisible[i].first && c <= invisible[i].last)
			return false;
	}
	return (c & 0xfffe) != 0xfffe;
}

bool text_is_visible(const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t left = strlen(text), n;

	for (; left > 0; p += n, left -= n) {
		n = text_utf8_sequence(p, left);
		if (n == 0)
			return true; /* shown as \xNN */
		uint32_t c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
		for (size_t i = 1; i < n; i++)
			c = c << 6 | (p[i] & 0x3f);
		if (code_point_is_visible(c))
			return true;
	}
	return false;
}

size_t text_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}
