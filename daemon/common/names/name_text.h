/* A name as Unicode code points: what name_fold.c and name_look.c work on. Names come from bridges,
 * folders and sidecars, so they are any bytes of any length. Unicode's tables are utf8proc's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_text {
	int32_t *c; /* room for n and one more */
	size_t n;
};

/* Reads bytes as UTF-8, and each byte that is none as ISO 8859-1. 0; NAME_TEXT_NOT_UTF8 when there
 * were such bytes; -ENOMEM. name_text_free() after either outcome that is not negative. */
enum { NAME_TEXT_NOT_UTF8 = 1 };
int name_text_read(const void *bytes, size_t len, struct name_text *ret_text);
/* Empty, with room for n. */
int name_text_reserve(size_t n, struct name_text *ret_text);
void name_text_free(struct name_text *text); /* and wipes the name */

/* As UTF-8, with a NUL behind it; for free(). */
int name_text_write(const struct name_text *text, char **ret_utf8, size_t *ret_len);

/* Unicode's normalisation forms (Standard Annex 15): NFC keeps every letter, NFKC makes full-width
 * and other compatible forms equal, CASEFOLD is NFKC_Casefold: case as well, and what takes no ink
 * is gone. */
enum name_form { NAME_FORM_NFC, NAME_FORM_NFKC, NAME_FORM_CASEFOLD };
int name_text_normalise(struct name_text *text, enum name_form form);

/* What a reader sees as a gap, or not at all: blanks of every width, line ends, and characters that
 * take no ink (default ignorable ones, the zero-width space and the byte order mark among them). */
bool name_text_is_blank(int32_t c);
bool name_text_is_ignorable(int32_t c);

/* Takes away what drop says from both ends. False, and nothing is changed, when all would go. */
bool name_text_trim(struct name_text *text, bool (*drop_first)(int32_t c),
		bool (*drop_last)(int32_t c));
