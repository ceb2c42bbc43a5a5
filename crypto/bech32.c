#include "crypto/bech32.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CHECKSUM_CHARS 6

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* Not tolower(3), which asks the locale. */
static char lower_case(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static uint32_t step_checksum(uint32_t c, uint8_t value)
{
	static const uint32_t generator[] = {
			0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = c >> 25;

	c = (c & 0x1ffffff) << 5 ^ value;
	for (int i = 0; i < 5; i++)
		c ^= top >> i & 1 ? generator[i] : 0;
	return c;
}

/* The checksum state after the prefix, which counts in lower case. */
static uint32_t polymod_prefix(const char *prefix, size_t len)
{
	uint32_t c = 1;

	for (size_t i = 0; i < len; i++)
		c = step_checksum(c, (uint8_t)(lower_case(prefix[i]) >> 5));
	c = step_checksum(c, 0);
	for (size_t i = 0; i < len; i++)
		c = step_checksum(c, (uint8_t)(lower_case(prefix[i]) & 31));
	return c;
}

static bool prefix_valid(const char *prefix)
{
	for (const char *p = prefix; *p; p++)
		if (*p < 0x21 || *p > 0x7e)
			return false;
	return *prefix;
}

static bool one_case(const char *text)
{
	bool upper = false, lower = false;

	for (const char *p = text; *p; p++) {
		upper |= *p >= 'A' && *p <= 'Z';
		lower |= *p >= 'a' && *p <= 'z';
	}
	return !(upper && lower);
}

/* The value of a character, 0 to 31, or -1. */
static int value_of(char c)
{
	const char *at = c ? strchr(alphabet, lower_case(c)) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* The i-th group of five bits, padded with zeros. */
static uint8_t group_of(const uint8_t *data, size_t len, size_t i)
{
	size_t byte = i * 5 / 8;
	unsigned two = (unsigned)data[byte] << 8 | (byte + 1 < len ? data[byte + 1] : 0U);

	return two >> (11 - i * 5 % 8) & 31;
}

int bech32_encode(const char *prefix, const uint8_t *data, size_t len, char **ret_text)
{
	size_t groups = (len * 8 + 4) / 5, prefix_len = strlen(prefix);

	if (!prefix_valid(prefix))
		return -EINVAL;
	for (const char *p = prefix; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			return -EINVAL;
	char *text = malloc(prefix_len + 1 + groups + CHECKSUM_CHARS + 1);
	if (!text)
		return -ENOMEM;
	char *at = mempcpy(text, prefix, prefix_len);
	uint32_t c = polymod_prefix(prefix, prefix_len);

	*at++ = '1';
	for (size_t i = 0; i < groups; i++) {
		uint8_t value = group_of(data, len, i);
		c = step_checksum(c, value);
		*at++ = alphabet[value];
	}
	for (int i = 0; i < CHECKSUM_CHARS; i++)
		c = step_checksum(c, 0);
	for (int i = 0; i < CHECKSUM_CHARS; i++)
		*at++ = alphabet[(c ^ 1) >> 5 * (5 - i) & 31];
	*at = '\0';
	*ret_text = text;
	return 0;
}

/* Whether the data part (checksum included) is of the alphabet, sums up, and pads with zeros. */
static bool data_valid(const char *part, size_t groups, size_t pad_bits, uint32_t c)
{
	for (size_t i = 0; i < groups + CHECKSUM_CHARS; i++) {
		int value = value_of(part[i]);
		if (value < 0)
			return false;
		c = step_checksum(c, (uint8_t)value);
	}
	if (c != 1)
		return false;
	return groups == 0 || !(value_of(part[groups - 1]) & ((1 << pad_bits) - 1));
}

int bech32_decode(const char *text, const char *prefix, uint8_t *ret_data, size_t len)
{
	size_t groups = (len * 8 + 4) / 5, prefix_len = strlen(prefix);

	if (!prefix_valid(prefix) || !one_case(text))
		return -EINVAL;
	if (strncmp(text, prefix, prefix_len) != 0 || text[prefix_len] != '1')
		return -EINVAL;
	const char *part = text + prefix_len + 1;
	if (strlen(part) != groups + CHECKSUM_CHARS)
		return -EINVAL;
	if (!data_valid(part, groups, groups * 5 - len * 8, polymod_prefix(prefix, prefix_len)))
		return -EINVAL;

	unsigned bits = 0, n_bits = 0;
	for (size_t i = 0; i < groups; i++) {
		bits = (bits << 5 | (unsigned)value_of(part[i])) & 0xfff;
		n_bits += 5;
		if (n_bits >= 8) {
			n_bits -= 8;
			*ret_data++ = (uint8_t)(bits >> n_bits);
		}
	}
	return 0;
}
