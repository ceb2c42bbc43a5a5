#include "base/ulid.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

void ulid_new(int64_t now_us, uint8_t ret_id[static ULID_BYTES])
{
	uint64_t ms = (uint64_t)(now_us / 1000);

	for (int i = 0; i < 6; i++)
		ret_id[i] = (uint8_t)(ms >> (8 * (5 - i)));
	randombytes_buf(ret_id + 6, ULID_BYTES - 6);
}

void ulid_format(const uint8_t id[static ULID_BYTES], char ret_text[static ULID_TEXT_CHARS + 1])
{
	/* 130 bits of text for 128 bits of id: the first character carries three bits. */
	for (int i = 0; i < ULID_TEXT_CHARS; i++) {
		unsigned v = 0;
		for (int bit = 5 * i - 2; bit < 5 * i + 3; bit++)
			v = v << 1 | (bit < 0 ? 0U : ((unsigned)id[bit / 8] >> (7 - bit % 8)) & 1U);
		ret_text[i] = alphabet[v];
	}
	ret_text[ULID_TEXT_CHARS] = '\0';
}

int ulid_parse(const char *text, uint8_t ret_id[static ULID_BYTES])
{
	uint8_t id[ULID_BYTES] = {0};

	if (strnlen(text, ULID_TEXT_CHARS + 1) != ULID_TEXT_CHARS)
		return -EINVAL;
	for (int i = 0; i < ULID_TEXT_CHARS; i++) {
		const char *at = strchr(alphabet, tolower((unsigned char)text[i]));
		if (!at || (i == 0 && at - alphabet > 7))
			return -EINVAL;
		for (int b = 0; b < 5; b++) {
			int bit = 5 * i - 2 + b;
			if (bit >= 0 && ((at - alphabet) >> (4 - b) & 1))
				id[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		}
	}
	memcpy(ret_id, id, ULID_BYTES);
	return 0;
}
