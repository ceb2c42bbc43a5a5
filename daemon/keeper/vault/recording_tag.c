#include "daemon/keeper/vault/recording_tag.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#define TAG_AT 1 /* among the stanzas of a header (rec_stanza.h) */

static bool text_is(const json_t *tag, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(tag, key));

	return text && strcmp(text, expected) == 0;
}

static bool number_is(const json_t *tag, const char *key, int64_t expected)
{
	const json_t *number = json_object_get(tag, key);

	return json_is_integer(number) && json_integer_value(number) == expected;
}

static bool time_is(const json_t *tag, const char *key, int64_t expected_us)
{
	char text[RFC3339_BYTES];

	clock_format_rfc3339(expected_us, text);
	return text_is(tag, key, text);
}

/* The first field that differs, or NULL. Not the account: a recording that was given to another one
 * keeps the tag it was sealed with. */
static const char *tag_differs(const json_t *tag, const struct recording_row *row)
{
	char id[ULID_TEXT_CHARS + 1];

	ulid_format(row->ulid, id);
	if (!text_is(tag, "recording", id))
		return "recording";
	if (!text_is(tag, "class", row->class))
		return "class";
	if (!text_is(tag, "format", row->format))
		return "format";
	if (!number_is(tag, "plaintext_bytes", row->plain_bytes))
		return "plaintext_bytes";
	if (!number_is(tag, "channels", row->channels) ||
			!number_is(tag, "sample_rate", row->sample_rate))
		return "channels";
	/* The row was put right since; the tag keeps the times that a wrong clock told. */
	if (row->sealed_clock == SEALED_CLOCK_SET)
		return NULL;
	if (!time_is(tag, "recorded_at", row->recorded_us))
		return "recorded_at";
	if (!time_is(tag, "sealed_at", row->sealed_us))
		return "sealed_at";
	return time_is(tag, "expires_at", row->expires_us) ? NULL : "expires_at";
}

static int header_compare(const struct age_header *header, const struct recording_row *row,
		const char **ret_field)
{
	struct rec_stanza stanza;
	int r = rec_stanza_find(header, &stanza);

	if (r < 0)
		return r == -RE_NO_MATCH ? -RE_HEADER : r;
	const struct age_stanza *tag = &header->stanzas[TAG_AT];
	json_t *object = json_loadb(
			(const char *)tag->body, tag->body_len, JSON_REJECT_DUPLICATES, NULL);
	const char *field = json_is_object(object) ? tag_differs(object, row) : "v";
	json_decref(object);
	if (!field)
		return 0;
	*ret_field = field;
	return -RE_ALTERED;
}

int recording_tag_check(const struct recordings *from, const struct recording_row *row,
		const char **ret_field)
{
	_cleanup_close_ int fd = object_store_open_object(from->store, row->ulid);
	_cleanup_free_ uint8_t *bytes = NULL;
	struct age_header header = {0};

	if (fd < 0)
		return fd;
	int r = age_header_read(fd, &header, &bytes);
	if (r < 0)
		return r;
	r = header_compare(&header, row, ret_field);
	age_header_free(&header);
	return r;
}
