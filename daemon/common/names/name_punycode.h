/* Punycode (RFC 3492), the ASCII form of letters in a DNS label: "xn--..." (RFC 5890). */
#pragma once

#include "daemon/common/names/name_text.h"

/* The letters of a label, which begins behind its "xn--": at most n. 0; NAME_PUNYCODE_BAD for what
 * no encoder makes (other characters, an overflow, a code point that is none); -ENOMEM. */
enum { NAME_PUNYCODE_BAD = 1 };
int name_punycode_decode(const int32_t *label, size_t n, struct name_text *ret_letters);

/* Replaces each label between dots (and "@") that is in Punycode by the letters it stands for,
 * where accept says yes to them. */
int name_punycode_decode_labels(
		struct name_text *text, bool (*accept)(const struct name_text *letters));
