/* ULID: 128-bit identifiers that sort by creation time (github.com/ulid/spec).
 *
 * 16 bytes: 48 bits of Unix milliseconds, big-endian, then 80 random bits. Text: 26 characters of
 * Crockford's base32, written here in lower case. */
#pragma once

#include <stdint.h>

#define ULID_BYTES      16
#define ULID_TEXT_CHARS 26

void ulid_new(int64_t now_us, uint8_t ret_id[static ULID_BYTES]);

/* Writes 26 characters and a NUL. */
void ulid_format(const uint8_t id[static ULID_BYTES], char ret_text[static ULID_TEXT_CHARS + 1]);

/* Exactly 26 characters, either case, no aliases (i, l, o, u are refused). -EINVAL otherwise. */
int ulid_parse(const char *text, uint8_t ret_id[static ULID_BYTES]);
