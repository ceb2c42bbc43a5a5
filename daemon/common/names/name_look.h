/* What a name looks like: equal for two names that a person, a file system or a bridge may take
 * for one. For warnings only: nothing is sealed, found or destroyed by it, so it may be generous.
 *
 * No difference make: case; Unicode's forms (NFC, NFD), full-width and other compatible letters;
 * bytes that are ISO 8859-1 instead of UTF-8; %XX of URLs; Punycode; characters that take no ink,
 * controls; the width and number of blanks, and "_" for a blank; kinds of dashes and of quotation
 * marks; blanks, dots, slashes, quotation marks and angle brackets at either end; "sip:", "tel:"
 * and the like before a name, and a port or parameters behind it; and, in a telephone number, "+",
 * "00" and what groups its digits.
 *
 * Different letters are different, however alike they are drawn: Latin "a" and Cyrillic "а". */
#pragma once

#include <stddef.h>

/* As UTF-8, never empty for a name that is not, for free(). The name is any bytes. 0, -ENOMEM. */
int name_look(const void *name, size_t len, char **ret_look, size_t *ret_len);
