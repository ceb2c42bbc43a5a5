/* Base64 (RFC 4648 section 4), strictly: canonical, no white space, ASCII only.
 *
 * libsodium 1.0.18's decoder takes any byte from 0x80 on for "/" where char is signed, and skips
 * NULs that it was told to ignore; foreign text goes through here instead. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum base64_padding { BASE64_PADDED, BASE64_UNPADDED };

/* Decodes text_len characters into at most room bytes. 0, or -EINVAL. */
int base64_decode(const char *text, size_t text_len, enum base64_padding padding,
		uint8_t *ret_bytes, size_t room, size_t *ret_len);
