/* One stanza of an age header, in memory, and the base64 of headers. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define AGE_STANZA_ARGS_MAX 64

struct age_stanza {
	char **args; /* args[0] is the type; n_args >= 1; each a NUL-terminated string of VCHARs */
	size_t n_args;
	uint8_t *body;
	size_t body_len;
};

/* Makes a stanza from its argument line, without "-> " and LF, and room for a body that the caller
 * fills. -RE_HEADER when the line is outside the grammar or over the cap; -ENOMEM. */
int age_stanza_new(
		const char *line, size_t line_len, size_t body_len, struct age_stanza *ret_stanza);

/* Frees the contents and zeroes the struct. */
void age_stanza_free(struct age_stanza *stanza);

/* Decodes canonical unpadded base64 that must hold exactly len bytes. -RE_HEADER. */
int age_stanza_base64(const char *text, size_t text_len, uint8_t *ret_bytes, size_t len);

/* Characters that len bytes take in unpadded base64, and room for them with a NUL. */
#define AGE_BASE64_CHARS(len) (((len)*4 + 2) / 3)
#define AGE_BASE64_ROOM(len)  (AGE_BASE64_CHARS(len) + 1)
void age_stanza_base64_format(const uint8_t *bytes, size_t len, char *ret_text);
