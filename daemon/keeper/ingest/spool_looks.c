#include "daemon/keeper/ingest/spool_looks.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "daemon/common/wire/intake_wire.h"
#include "daemon/keeper/ingest/intake_request.h"

#define FOUND_PATH_MAX 4096
#define SPOOLS_MAX     1024 /* answers to one look */

int spool_looks_ask(struct spool_looks *looks, const struct spool_look_question *question,
		json_t **ret_message)
{
	if (looks->asked)
		return -EBUSY;
	json_t *message = json_pack("{s:s, s:I, s:o}", "op", "look", "look",
			(json_int_t)(looks->number + 1), "account",
			intake_wire_base64(question->account, question->account_len));
	json_t *found = json_array();
	int r = message && found ? 0 : -ENOMEM;
	if (r == 0 && question->spool &&
			(json_object_set_new(message, "spool", json_string(question->spool)) < 0 ||
					json_object_set_new(message, "path",
							intake_wire_base64(question->path,
									question->path_len)) < 0))
		r = -ENOMEM;
	if (r < 0) {
		json_decref(message);
		json_decref(found);
		return r;
	}
	*looks = (struct spool_looks){.number = looks->number + 1, .asked = true, .found = found};
	*ret_message = message;
	return 0;
}

void spool_looks_forget(struct spool_looks *looks)
{
	json_decref(looks->found);
	*looks = (struct spool_looks){.number = looks->number};
}

/* ---- What the intake says ---- */

/* Short printable ASCII. */
static bool found_words_are_plain(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	for (size_t i = 0; i < len; i++) {
		if (!isprint((unsigned char)text[i]))
			return false;
	}
	return len > 0 && len <= INTAKE_WORDS_MAX;
}

static int found_read_entry(const json_t *entry, json_t *entries)
{
	const char *why = json_string_value(json_object_get(entry, "why"));
	_cleanup_free_ uint8_t *path = NULL;
	size_t len;
	int r = found_words_are_plain(why)
				? intake_wire_bytes(entry, "path", FOUND_PATH_MAX, &path, &len)
				: -RE_PROTOCOL;

	if (r < 0)
		return r;
	_cleanup_free_ char *text = text_printable(path, len);
	if (!text)
		return -ENOMEM;
	return json_array_append_new(entries, json_pack("{s:s, s:s}", "path", text, "why", why)) < 0
			       ? -ENOMEM
			       : 0;
}

static int found_read_entries(const json_t *message, json_t *entries)
{
	const json_t *list = json_object_get(message, "entries");
	int r = json_is_array(list) && json_array_size(list) <= INTAKE_FOUND_MAX ? 0 : -RE_PROTOCOL;

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = found_read_entry(json_array_get(list, i), entries);
	return r;
}

static int found_read(const json_t *message, json_t *entries, json_t **ret_look)
{
	const char *name = json_string_value(json_object_get(message, "spool"));
	const char *path = json_string_value(json_object_get(message, "path"));
	const char *why = json_string_value(json_object_get(message, "why"));
	const json_t *complete = json_object_get(message, "complete");
	int64_t files, unknown;
	int r = intake_request_number(message, "files", INT64_MAX, &files);

	if (r == 0)
		r = intake_request_number(message, "unknown", INT64_MAX, &unknown);
	if (r == 0 && (!found_words_are_plain(name) || !path || !json_is_boolean(complete) ||
				      (why && !found_words_are_plain(why)) ||
				      (!why && json_is_false(complete)) ||
				      files < (int64_t)json_array_size(entries)))
		r = -RE_PROTOCOL;
	if (r < 0)
		return r;
	_cleanup_free_ char *safe = text_printable(path, strlen(path));
	*ret_look = json_pack("{s:s, s:s*, s:b, s:s*, s:I, s:I, s:O}", "name", name, "path",
			safe && *safe ? safe : NULL, "looked", json_is_true(complete), "why", why,
			"files", (json_int_t)files, "unknown", (json_int_t)unknown, "entries",
			entries);
	return *ret_look ? 0 : -ENOMEM;
}

int spool_looks_found(struct spool_looks *looks, const json_t *message)
{
	int64_t number, left;
	json_t *look = NULL;
	int r = intake_request_number(message, "look", UINT32_MAX, &number);

	if (r == 0)
		r = intake_request_number(message, "left", SPOOLS_MAX, &left);
	if (r < 0 || !looks->asked || number != looks->number || looks->complete)
		return r;
	if (json_array_size(looks->found) == SPOOLS_MAX)
		return -RE_PROTOCOL;
	json_t *entries = json_array();
	r = entries ? found_read_entries(message, entries) : -ENOMEM;
	if (r == 0)
		r = found_read(message, entries, &look);
	json_decref(entries);
	if (r < 0)
		return r;
	if (json_array_append_new(looks->found, look) < 0)
		return -ENOMEM;
	looks->complete = left == 0;
	return 0;
}
