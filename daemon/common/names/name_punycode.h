/* Punycode (RFC 3492), the ASCII form of letters in a DNS label: the part after "xn--". */
#pragma once

#include "daemon/common/names/name_text.h"

/* 0; NAME_PUNYCODE_BAD for what no encoder makes: other characters, an overflow, a code point that
 * is none; -ENOMEM. The letters are at most n. */
enum { NAME_PUNYCODE_BAD = 1 };
int name_punycode_decode(const int32_t *label, size_t n, struct name_text *ret_letters);
