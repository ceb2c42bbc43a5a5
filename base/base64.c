#include "base/base64.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>

static bool is_ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] >= 0x80)
			return false;
	}
	return true;
}

int base64_decode(const char *text, size_t text_len, enum base64_padding padding,
		uint8_t *ret_bytes, size_t room, size_t *ret_len)
{
	int variant = padding == BASE64_PADDED ? sodium_base64_VARIANT_ORIGINAL
					       : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;

	if (!is_ascii(text, text_len))
		return -EINVAL;
	if (sodium_base642bin(ret_bytes, room, text, text_len, NULL, ret_len, NULL, variant) < 0)
		return -EINVAL;
	return 0;
}
