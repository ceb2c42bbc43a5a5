#include "cli/plugin_stanza.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/age_stanza.h"

#define READ_BYTES   4096
#define BODY_COLUMNS 64
#define BASE64       sodium_base64_VARIANT_ORIGINAL_NO_PADDING

void plugin_stream_init(struct plugin_stream *stream, int in_fd, int out_fd)
{
	*stream = (struct plugin_stream){.in_fd = in_fd, .out_fd = out_fd};
}

void plugin_stream_clear(struct plugin_stream *stream)
{
	if (stream->buf)
		sodium_memzero(stream->buf, stream->room);
	free(stream->buf);
	stream->buf = NULL;
	stream->start = stream->len = stream->room = 0;
}

/* Appends what the peer sent to the stanza under way, which begins at start. */
static int fill(struct plugin_stream *stream)
{
	if (stream->len - stream->start >= PLUGIN_STANZA_MAX_BYTES)
		return -RE_PROTOCOL;
	if (stream->room - stream->len < READ_BYTES) {
		char *buf = realloc(stream->buf, 2 * stream->room + READ_BYTES);
		if (!buf)
			return -ENOMEM;
		stream->buf = buf;
		stream->room = 2 * stream->room + READ_BYTES;
	}
	ssize_t n;
	do
		n = read(stream->in_fd, stream->buf + stream->len, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECONNRESET;
	stream->len += (size_t)n;
	return 0;
}

/* The line at an offset from the stanza's start, without its LF. */
static int find_line(struct plugin_stream *stream, size_t offset, size_t *ret_len)
{
	for (;;) {
		size_t at = stream->start + offset;
		const char *lf = stream->len > at ? memchr(stream->buf + at, '\n', stream->len - at)
						  : NULL;
		if (lf) {
			*ret_len = (size_t)(lf - (stream->buf + at));
			return 0;
		}
		int r = fill(stream);
		if (r < 0)
			return r;
	}
}

/* Offsets of a stanza's parts from its start. */
struct extent {
	size_t head_len; /* first line, without LF */
	size_t body_at;  /* the body's first line */
	size_t end;      /* after the body's last LF */
};

/* Reads up to the body line that is shorter than the others: it ends the stanza. */
static int find_extent(struct plugin_stream *stream, struct extent *ret_extent)
{
	struct extent extent;
	size_t len;
	int r = find_line(stream, 0, &extent.head_len);

	if (r < 0)
		return r;
	extent.body_at = extent.end = extent.head_len + 1;
	do {
		r = find_line(stream, extent.end, &len);
		if (r < 0)
			return r;
		if (len > BODY_COLUMNS)
			return -RE_PROTOCOL;
		extent.end += len + 1;
	} while (len == BODY_COLUMNS);
	*ret_extent = extent;
	return 0;
}

/* The lines are all of 64 columns but the last, so that LFs may simply be skipped. libsodium would
 * skip a NUL with them, and take a byte above 0x7f for a slash (base/base64.h). */
static int parse_body(const char *text, size_t len, struct age_stanza *stanza)
{
	const char *end;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && (text[i] <= ' ' || text[i] > '~'))
			return -RE_PROTOCOL;
	}
	if (sodium_base642bin(stanza->body, stanza->body_len, text, len, "\n", &stanza->body_len,
			    &end, BASE64) < 0 ||
			end != text + len)
		return -RE_PROTOCOL;
	return 0;
}

static int parse_stanza(const char *text, const struct extent *extent, struct age_stanza *stanza)
{
	static const char arrow[] = "-> ";
	const size_t arrow_len = sizeof(arrow) - 1, body_len = extent->end - extent->body_at;

	if (extent->head_len < arrow_len || memcmp(text, arrow, arrow_len) != 0)
		return -RE_PROTOCOL;
	/* Room for the body as text is more than enough. */
	int r = age_stanza_new(text + arrow_len, extent->head_len - arrow_len, body_len, stanza);
	if (r == 0)
		r = parse_body(text + extent->body_at, body_len, stanza);
	return r == -RE_HEADER ? -RE_PROTOCOL : r;
}

int plugin_stanza_read(struct plugin_stream *stream, struct age_stanza *ret_stanza)
{
	struct age_stanza stanza = {0};
	struct extent extent;
	int r = find_extent(stream, &extent);

	if (r < 0)
		return r;
	r = parse_stanza(stream->buf + stream->start, &extent, &stanza);
	if (r < 0) {
		age_stanza_free(&stanza);
		return r;
	}
	stream->start += extent.end;
	if (stream->start == stream->len)
		stream->start = stream->len = 0;
	*ret_stanza = stanza;
	return 0;
}

/* Appends base64 in lines of 64 columns; the last line is shorter, and may be empty. */
static void append_body(char *out, const char *base64)
{
	size_t len = strlen(base64);

	for (; len >= BODY_COLUMNS; len -= BODY_COLUMNS, base64 += BODY_COLUMNS) {
		out = mempcpy(out, base64, BODY_COLUMNS);
		*out++ = '\n';
	}
	out = mempcpy(out, base64, len);
	*out++ = '\n';
	*out = '\0';
}

int plugin_stanza_write(struct plugin_stream *stream, const char *const args[], size_t n_args,
		const void *body, size_t body_len)
{
	size_t base64_bytes = sodium_base64_ENCODED_LEN(body_len, BASE64), head_bytes = 3;

	for (size_t i = 0; i < n_args; i++)
		head_bytes += strlen(args[i]) + 1;
	/* A body may be a file key: it is copied into secret memory only. */
	_cleanup_secret_ char *base64 = secret_new(base64_bytes);
	_cleanup_secret_ char *text =
			secret_new(head_bytes + base64_bytes + base64_bytes / BODY_COLUMNS + 2);
	if (!base64 || !text)
		return -ENOMEM;
	sodium_bin2base64(base64, base64_bytes, body, body_len, BASE64);
	char *out = stpcpy(text, "->");
	for (size_t i = 0; i < n_args; i++) {
		*out++ = ' ';
		out = stpcpy(out, args[i]);
	}
	*out++ = '\n';
	append_body(out, base64);
	return io_write_all(stream->out_fd, text, strlen(text));
}
