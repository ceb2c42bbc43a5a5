/* Foreign text made safe to show. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Valid UTF-8 without control characters (C0, DEL, C1), made from any bytes: what is not that
 * becomes \xNN, and a backslash becomes \\, so that the result is unambiguous, and safe in a
 * terminal, in JSON and in a journal field. Overlong forms, surrogates and bidirectional overrides
 * count as invalid. Returns a string to free(), or NULL when out of memory. */
char *text_printable(const void *bytes, size_t len);

/* Whether a reader sees anything of this UTF-8 text: not when it has only spaces, controls, and
 * characters that take no ink (zero-width ones, joiners, fillers, bidirectional controls, variation
 * selectors, tags). */
bool text_is_visible(const char *text);

/* How far a valid UTF-8 sequence reaches at p (1 to 4), or 0 when there is none (RFC 3629). */
size_t text_utf8_sequence(const uint8_t *p, size_t len);

/* Columns a printable UTF-8 string takes on a terminal, counting every code point as one. */
size_t text_columns(const char *text);
