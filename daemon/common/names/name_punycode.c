#include "daemon/common/names/name_punycode.h"

#include <string.h>

/* RFC 3492, section 5 */
#define BASE         36
#define T_MIN        1
#define T_MAX        26
#define SKEW         38
#define DAMP         700
#define INITIAL_BIAS 72
#define INITIAL_C    0x80

#define PREFIX_CHARS   4
#define CODE_POINT_MAX 0x10ffff

/* -1 for what is no digit. */
static int punycode_digit(int32_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0' + 26;
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

/* Section 6.1. */
static uint32_t punycode_adapt(uint32_t delta, uint32_t count, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / count;
	for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
		delta /= BASE - T_MIN;
	return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

struct decoder {
	const int32_t *at, *end;
	uint32_t bias;
};

/* One number of variable length, added to *i. False for an overflow, or when the label ends. */
static bool punycode_number(struct decoder *decoder, uint32_t *i)
{
	uint64_t weight = 1, value = *i;

	for (uint32_t k = BASE;; k += BASE) {
		int digit = decoder->at < decoder->end ? punycode_digit(*decoder->at++) : -1;
		uint32_t t = k <= decoder->bias           ? T_MIN
			     : k >= decoder->bias + T_MAX ? T_MAX
							  : k - decoder->bias;
		if (digit < 0)
			return false;
		value += (uint64_t)digit * weight;
		if (value > INT32_MAX)
			return false;
		if ((uint32_t)digit < t)
			break;
		weight *= BASE - t;
		if (weight > INT32_MAX)
			return false;
	}
	*i = (uint32_t)value;
	return true;
}

/* Section 6.2, after the basic characters. */
static bool punycode_insert(struct decoder *decoder, struct name_text *letters)
{
	uint32_t c = INITIAL_C, i = 0;

	while (decoder->at < decoder->end) {
		uint32_t before = i, count = (uint32_t)letters->n + 1;
		if (!punycode_number(decoder, &i))
			return false;
		decoder->bias = punycode_adapt(i - before, count, before == 0);
		c += i / count;
		i %= count;
		if (c > CODE_POINT_MAX || (c >= 0xd800 && c <= 0xdfff))
			return false;
		memmove(letters->c + i + 1, letters->c + i, (letters->n - i) * sizeof(*letters->c));
		letters->c[i++] = (int32_t)c;
		letters->n++;
	}
	return true;
}

int name_punycode_decode(const int32_t *label, size_t n, struct name_text *ret_letters)
{
	struct name_text letters;
	struct decoder decoder = {.at = label, .end = label + n, .bias = INITIAL_BIAS};
	size_t basic = n;
	int r = name_text_reserve(n, &letters);

	if (r < 0)
		return r;
	/* What is before the last hyphen stands for itself. */
	while (basic > 0 && label[basic - 1] != '-')
		basic--;
	if (basic > 0) {
		decoder.at = label + basic;
		letters.n = basic - 1;
		memcpy(letters.c, label, letters.n * sizeof(*label));
	}
	if (!punycode_insert(&decoder, &letters)) {
		name_text_free(&letters);
		return NAME_PUNYCODE_BAD;
	}
	*ret_letters = letters;
	return 0;
}

/* ---- Labels ---- */

static bool label_is_punycode(const int32_t *label, size_t n)
{
	static const char prefix[PREFIX_CHARS + 1] = "xn--";

	for (size_t i = 0; i < PREFIX_CHARS; i++) {
		int32_t c = i < n ? label[i] : 0;
		if (c != prefix[i] && (c < 'A' || c > 'Z' || c + ('a' - 'A') != prefix[i]))
			return false;
	}
	return true;
}

/* Appends the letters of a label to out, which has room: never more than the label itself has. */
static int label_append(const int32_t *label, size_t n,
		bool (*accept)(const struct name_text *letters), struct name_text *out)
{
	struct name_text letters;
	int r = label_is_punycode(label, n) ? name_punycode_decode(label + PREFIX_CHARS,
							      n - PREFIX_CHARS, &letters)
					    : NAME_PUNYCODE_BAD;

	if (r < 0)
		return r;
	bool accepted = r == 0 && accept(&letters);
	const int32_t *from = accepted ? letters.c : label;
	size_t count = accepted ? letters.n : n;
	for (size_t i = 0; i < count; i++)
		out->c[out->n++] = from[i];
	if (r == 0)
		name_text_free(&letters);
	return 0;
}

int name_punycode_decode_labels(
		struct name_text *text, bool (*accept)(const struct name_text *letters))
{
	struct name_text out;
	size_t begin = 0;
	int r = name_text_reserve(text->n, &out);

	if (r < 0)
		return r;
	for (size_t i = 0; i <= text->n && r == 0; i++) {
		if (i < text->n && text->c[i] != '.' && text->c[i] != '@')
			continue;
		r = label_append(text->c + begin, i - begin, accept, &out);
		if (i < text->n)
			out.c[out.n++] = text->c[i];
		begin = i + 1;
	}
	if (r < 0) {
		name_text_free(&out);
		return r;
	}
	name_text_free(text);
	*text = out;
	return 0;
}
