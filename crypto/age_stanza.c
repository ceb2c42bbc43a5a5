#include "crypto/age_stanza.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"

/* How many arguments the line has: VCHARs, separated by single spaces. 0 outside the grammar. */
static size_t count_args(const char *line, size_t len)
{
	size_t n = 1;
	char before = ' ';

	for (size_t i = 0; i < len; i++) {
		if (line[i] == ' ') {
			if (before == ' ')
				return 0;
			n++;
		} else if (line[i] < 0x21 || line[i] > 0x7e) {
			return 0;
		}
		before = line[i];
	}
	return before == ' ' ? 0 : n;
}

/* The pointers and the text they point to, in one allocation. */
static char **split_args(const char *line, size_t len, size_t n)
{
	char **args = malloc(n * sizeof(*args) + len + 1);

	if (!args)
		return NULL;
	char *text = (char *)(args + n);
	memcpy(text, line, len);
	text[len] = '\0';
	for (size_t i = 0; i < n; i++)
		args[i] = strsep(&text, " ");
	return args;
}

int age_stanza_new(
		const char *line, size_t line_len, size_t body_len, struct age_stanza *ret_stanza)
{
	struct age_stanza stanza = {.n_args = count_args(line, line_len), .body_len = body_len};

	if (stanza.n_args == 0 || stanza.n_args > AGE_STANZA_ARGS_MAX)
		return -RE_HEADER;
	stanza.args = split_args(line, line_len, stanza.n_args);
	stanza.body = malloc(body_len ? body_len : 1);
	if (!stanza.args || !stanza.body) {
		age_stanza_free(&stanza);
		return -ENOMEM;
	}
	*ret_stanza = stanza;
	return 0;
}

void age_stanza_free(struct age_stanza *stanza)
{
	free(stanza->args);
	free(stanza->body);
	*stanza = (struct age_stanza){0};
}

int age_stanza_base64(const char *text, size_t text_len, uint8_t *ret_bytes, size_t len)
{
	size_t n;

	if (text_len != AGE_BASE64_CHARS(len) ||
			base64_decode(text, text_len, BASE64_UNPADDED, ret_bytes, len, &n) < 0)
		return -RE_HEADER;
	return n == len ? 0 : -RE_HEADER;
}

void age_stanza_base64_format(const uint8_t *bytes, size_t len, char *ret_text)
{
	sodium_bin2base64(ret_text, AGE_BASE64_ROOM(len), bytes, len,
			sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}
