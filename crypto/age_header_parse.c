/* Parsing of age headers: one walk over the bytes, which passes over no byte outside the grammar.
 *
 * A cursor stands at the next byte to be read. Each function below takes one piece of the grammar
 * (C2SP age specification, "Header") off its front. Where one fails, the whole header is refused.
 *
 *   1. Whatever is accepted was compared or decoded; only the body of a stanza is read twice, once
 *      for its size (skip_body) and once for its bytes (decode_body).
 *   2. A body ends at its first line of fewer than 64 columns, which may be empty. There is no
 *      length to trust.
 *   3. Nothing is read past the AGE_HEADER_MAX_BYTES that the caller's bytes were cut to, and no
 *      more than AGE_STANZAS_MAX stanzas are kept: memory is bounded before the MAC is known.
 *
 * The MAC is not verified here: age_header_verify() does, once a file key is known. */
#include "crypto/age_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "crypto/age_stanza.h"

#define BODY_COLUMNS    64
#define BODY_LINE_BYTES 48

struct cursor {
	const char *at, *end;
};

struct line {
	const char *text;
	size_t len;
};

static bool at_prefix(const struct cursor *c, const char *prefix)
{
	size_t n = strlen(prefix);

	return (size_t)(c->end - c->at) >= n && memcmp(c->at, prefix, n) == 0;
}

/* The next line without its LF. */
static int take_line(struct cursor *c, struct line *ret_line)
{
	const char *lf = memchr(c->at, '\n', (size_t)(c->end - c->at));

	if (!lf)
		return -RE_HEADER;
	*ret_line = (struct line){c->at, (size_t)(lf - c->at)};
	c->at = lf + 1;
	return 0;
}

static int parse_version(struct cursor *c)
{
	static const char version[] = "age-encryption.org/v1\n";

	if (!at_prefix(c, version))
		return -RE_HEADER;
	c->at += sizeof(version) - 1;
	return 0;
}

/* Passes over a body, which ends at the first line under 64 columns, and tells its decoded size. */
static int skip_body(struct cursor *c, size_t *ret_bytes)
{
	struct line line;
	size_t chars = 0;

	do {
		int r = take_line(c, &line);
		if (r < 0)
			return r;
		if (line.len > BODY_COLUMNS)
			return -RE_HEADER;
		chars += line.len;
	} while (line.len == BODY_COLUMNS);
	*ret_bytes = chars * 3 / 4;
	return 0;
}

/* Decodes a body that skip_body() has measured. */
static int decode_body(struct cursor c, uint8_t *ret_body, size_t left)
{
	struct line line;

	do {
		int r = take_line(&c, &line);
		if (r < 0)
			return r;
		size_t n = left < BODY_LINE_BYTES ? left : BODY_LINE_BYTES;
		r = age_stanza_base64(line.text, line.len, ret_body, n);
		if (r < 0)
			return r;
		ret_body += n;
		left -= n;
	} while (line.len == BODY_COLUMNS);
	return 0;
}

static int parse_one_stanza(struct cursor *c, struct age_stanza *ret_stanza)
{
	_cleanup_(age_stanza_free) struct age_stanza stanza = {0};
	struct line line;
	size_t body_len;

	if (!at_prefix(c, "-> "))
		return -RE_HEADER;
	c->at += 3;
	int r = take_line(c, &line);
	if (r < 0)
		return r;
	struct cursor body = *c;
	r = skip_body(c, &body_len);
	if (r < 0)
		return r;
	r = age_stanza_new(line.text, line.len, body_len, &stanza);
	if (r < 0)
		return r;
	r = decode_body(body, stanza.body, stanza.body_len);
	if (r < 0)
		return r;
	*ret_stanza = stanza;
	stanza = (struct age_stanza){0};
	return 0;
}

static int add_stanza(struct cursor *c, struct age_header *header)
{
	if (header->n_stanzas == AGE_STANZAS_MAX)
		return -RE_HEADER;
	struct age_stanza *grown =
			reallocarray(header->stanzas, header->n_stanzas + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	header->stanzas = grown;
	int r = parse_one_stanza(c, &grown[header->n_stanzas]);
	if (r < 0)
		return r;
	header->n_stanzas++;
	return 0;
}

static int parse_mac(struct cursor *c, uint8_t ret_mac[static AGE_MAC_BYTES])
{
	struct line line;

	if (!at_prefix(c, "--- "))
		return -RE_HEADER;
	c->at += 4;
	int r = take_line(c, &line);
	return r < 0 ? r : age_stanza_base64(line.text, line.len, ret_mac, AGE_MAC_BYTES);
}

static int parse_all(struct cursor *c, struct age_header *header)
{
	const char *start = c->at;
	int r = parse_version(c);

	if (r < 0)
		return r;
	do {
		r = add_stanza(c, header);
		if (r < 0)
			return r;
	} while (!at_prefix(c, "---"));
	header->maced_bytes = (size_t)(c->at - start) + 3;
	r = parse_mac(c, header->mac);
	header->header_bytes = (size_t)(c->at - start);
	return r;
}

int age_header_parse(const uint8_t *buf, size_t len, struct age_header *ret_header)
{
	_cleanup_(age_header_free) struct age_header header = {0};

	if (len == 0)
		return -RE_HEADER;
	if (len > AGE_HEADER_MAX_BYTES)
		len = AGE_HEADER_MAX_BYTES;
	int r = parse_all(&(struct cursor){(const char *)buf, (const char *)buf + len}, &header);
	if (r < 0)
		return r;
	*ret_header = header;
	header = (struct age_header){0};
	return 0;
}
