/* Bech32 (BIP-173), without its limit of 90 characters, as the age specification asks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes len bytes of data under a lower-case prefix. The text is malloc'd and the caller's.
 * -EINVAL for a prefix outside the grammar, -ENOMEM. */
int bech32_encode(const char *prefix, const uint8_t *data, size_t len, char **ret_text);

/* Reads exactly len bytes. The prefix must be there to the letter, case included, and the whole
 * text be of one case. -EINVAL otherwise. */
int bech32_decode(const char *text, const char *prefix, uint8_t *ret_data, size_t len);
