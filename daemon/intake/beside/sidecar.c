#include "daemon/intake/beside/sidecar.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/durable.h"
#include "daemon/intake/spool/stale.h"

#define KEY_DEPTH_MAX 8

void sidecar_clear(struct sidecar *sidecar)
{
	if (sidecar->bytes)
		sodium_memzero(sidecar->bytes, sidecar->len);
	free(sidecar->bytes);
	free(sidecar->path);
	*sidecar = (struct sidecar){0};
}

/* ---- Reading ---- */

static bool sidecar_is_settled(
		const struct source_identity *identity, int64_t now_us, int64_t settle_us)
{
	int64_t changed_us = source_changed_us(identity);

	/* A time in the future says nothing: such a file counts as settled. */
	return changed_us > now_us + US_PER_S || now_us - changed_us >= settle_us;
}

static int sidecar_read_bytes(const struct source *source, struct sidecar *sidecar)
{
	size_t len = (size_t)source->identity.size;

	/* With a NUL after it: its members are searched as text. */
	sidecar->bytes = malloc(len + 1);
	if (!sidecar->bytes)
		return -ENOMEM;
	int r = io_pread_full(source->fd, sidecar->bytes, len, 0, &sidecar->len);
	if (r < 0)
		return r;
	sidecar->bytes[sidecar->len] = '\0';
	sidecar->identity = source->identity;
	return sidecar->len == len && source_unchanged(source->fd, &source->identity)
			       ? 0
			       : SIDECAR_BUSY;
}

static int sidecar_claim(struct source *source, struct sidecar *sidecar)
{
	int r = source_claim(source);

	/* Without a lease it is read all the same: a change is seen after reading, or before the
	 * removal. */
	if (r == SOURCE_WRITER || r == SOURCE_CHANGED)
		return SIDECAR_BUSY;
	return r == 0 || r == SOURCE_UNLEASED ? sidecar_read_bytes(source, sidecar) : r;
}

static int sidecar_find(int root_fd, const char *path, int64_t now_us, int64_t settle_us,
		struct sidecar *sidecar, struct sidecar_about *ret_about)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;
	int r = source_find(root_fd, path, &source);

	if (r == SOURCE_GONE)
		return SIDECAR_MISSING;
	if (r < 0)
		return r;
	ret_about->inode = source.identity.inode;
	ret_about->since_us = stale_since_us(&source, now_us);
	if (r != 0)
		return r == SOURCE_EMPTY ? SIDECAR_BUSY : r;
	if (source.identity.size > SIDECAR_READ_MAX)
		return SIDECAR_HUGE;
	if (!sidecar_is_settled(&source.identity, now_us, settle_us))
		return SIDECAR_BUSY;
	r = sidecar_claim(&source, sidecar);
	return r == 0 && sidecar->len > SIDECAR_BYTES_MAX ? SIDECAR_LARGE : r;
}

int sidecar_read(int root_fd, const char *path, int64_t now_us, int64_t settle_us,
		struct sidecar *ret_sidecar, struct sidecar_about *ret_about)
{
	struct sidecar sidecar = {0};

	/* Filled in as far as the search gets, also when it fails. */
	*ret_about = (struct sidecar_about){0};
	int r = sidecar_find(root_fd, path, now_us, settle_us, &sidecar, ret_about);
	if ((r == 0 || r == SIDECAR_LARGE) && !(sidecar.path = strdup(path)))
		r = -ENOMEM;
	if (r != 0 && r != SIDECAR_LARGE) {
		sidecar_clear(&sidecar);
		return r;
	}
	*ret_sidecar = sidecar;
	return r;
}

int sidecar_remove(int root_fd, const struct sidecar *sidecar, bool wipe)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;
	int r = source_find(root_fd, sidecar->path, &source);

	if (r != 0)
		return r == SOURCE_GONE || r < 0 ? r : SOURCE_CHANGED;
	source.wipe = wipe;
	/* What was written since is not in the sealed recording. */
	return source_same(&source.identity, &sidecar->identity) ? source_unlink(&source)
								 : SOURCE_CHANGED;
}

/* ---- Members ---- */

static bool sidecar_text_is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	}
	return true;
}

static char *text_copy_plain(const char *text, size_t len)
{
	char *copy = memchr(text, 0, len) ? NULL : strndup(text, len);

	if (copy && (!*copy || !sidecar_text_is_plain(copy))) {
		free(copy);
		copy = NULL;
	}
	return copy;
}

static char *json_value_text(const json_t *value)
{
	char *text;

	if (json_is_string(value))
		return text_copy_plain(json_string_value(value), json_string_length(value));
	if (!json_is_integer(value) ||
			asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0)
		return NULL;
	return text;
}

static char *json_member(const struct sidecar *sidecar, char *key)
{
	/* A key that occurs twice could name two accounts: such a file has no members. */
	json_t *root = json_loadb(
			(const char *)sidecar->bytes, sidecar->len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *at = root;
	char *save;
	int depth = 0;

	for (char *part = strtok_r(key, ".", &save); part; part = strtok_r(NULL, ".", &save))
		at = ++depth > KEY_DEPTH_MAX ? NULL : json_object_get(at, part);
	char *text = json_value_text(at);
	json_decref(root);
	return text;
}

static char *line_member(const struct sidecar *sidecar, const char *key)
{
	size_t key_len = strlen(key), len;
	const char *end = (const char *)sidecar->bytes + sidecar->len;

	for (const char *line = (const char *)sidecar->bytes; line < end; line += len + 1) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		len = (size_t)((newline ? newline : end) - line);
		if (len <= key_len || memcmp(line, key, key_len) != 0 ||
				(line[key_len] != ':' && line[key_len] != '='))
			continue;
		const char *value = line + key_len + 1, *stop = line + len;
		while (value < stop && (*value == ' ' || *value == '\t'))
			value++;
		while (stop > value && strchr(" \t\r", stop[-1]))
			stop--;
		return text_copy_plain(value, (size_t)(stop - value));
	}
	return NULL;
}

char *sidecar_member(const struct sidecar *sidecar, const char *key, size_t len)
{
	char *copy = strndup(key, len), *value = NULL;
	const uint8_t *at = sidecar->bytes;

	if (!copy)
		return NULL;
	while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
		at++;
	value = *at == '{' ? json_member(sidecar, copy) : line_member(sidecar, copy);
	free(copy);
	return value;
}
