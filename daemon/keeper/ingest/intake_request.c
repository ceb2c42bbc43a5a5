#include "daemon/keeper/ingest/intake_request.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/common/config/config_name.h"
#include "daemon/common/wire/intake_wire.h"

#define PATH_BYTES_MAX 4096

void intake_request_clear(struct intake_request *request)
{
	free(request->account);
	free(request->path);
	memset(request, 0, sizeof(*request));
}

int intake_request_number(const json_t *message, const char *key, int64_t max, int64_t *ret_value)
{
	const json_t *value = json_object_get(message, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
			json_integer_value(value) > max)
		return -RE_PROTOCOL;
	*ret_value = json_integer_value(value);
	return 0;
}

/* A spool's or class's name, as configuration allows them. */
static int read_name(const json_t *message, const char *key, const char **ret_name)
{
	const char *name = json_string_value(json_object_get(message, key));

	if (!name || !*name || strlen(name) > CONFIG_NAME_MAX)
		return -RE_PROTOCOL;
	for (const char *p = name; *p; p++) {
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_' &&
				*p != '-')
			return -RE_PROTOCOL;
	}
	*ret_name = name;
	return 0;
}

/* Short printable ASCII that the probe said; absent is "". */
static int read_words(const json_t *probe, const char *key, char *ret_text, size_t room)
{
	const json_t *value = json_object_get(probe, key);
	const char *text = json_string_value(value);

	if (!value || json_is_null(value)) {
		*ret_text = '\0';
		return 0;
	}
	if (!text || strlen(text) >= room)
		return -RE_PROTOCOL;
	for (const char *p = text; *p; p++) {
		if (!isprint((unsigned char)*p))
			return -RE_PROTOCOL;
	}
	strcpy(ret_text, text);
	return 0;
}

static int read_condition(const json_t *probe, enum probe_condition *ret_condition)
{
	const char *name = json_string_value(json_object_get(probe, "condition"));

	for (int i = 0; name && i < PROBE_CONDITIONS; i++) {
		if (strcmp(name, probe_wire_condition_name((enum probe_condition)i)) == 0) {
			*ret_condition = (enum probe_condition)i;
			return 0;
		}
	}
	return -RE_PROTOCOL;
}

static int read_optional(const json_t *probe, const char *key, int64_t max, int64_t absent,
		int64_t *ret_value)
{
	const json_t *value = json_object_get(probe, key);

	if (value && !json_is_null(value))
		return intake_request_number(probe, key, max, ret_value);
	*ret_value = absent;
	return 0;
}

static int read_probe(const json_t *message, struct probe_result *ret_probe)
{
	const json_t *probe = json_object_get(message, "probe");
	struct probe_result result = {0};
	int64_t channels, sample_rate, frames, recoverable;
	int r = json_is_object(probe) ? read_condition(probe, &result.condition) : -RE_PROTOCOL;

	if (r == 0)
		r = read_words(probe, "format", result.format, sizeof(result.format));
	if (r == 0)
		r = read_words(probe, "damage", result.damage, sizeof(result.damage));
	if (r == 0)
		r = read_optional(probe, "channels", PROBE_CHANNELS_MAX, 0, &channels);
	if (r == 0)
		r = read_optional(probe, "sample_rate", PROBE_SAMPLE_RATE_MAX, 0, &sample_rate);
	if (r == 0)
		r = read_optional(probe, "frames", INTAKE_FRAMES_MAX, -1, &frames);
	if (r == 0)
		r = read_optional(probe, "recoverable_bytes", INT64_MAX, 0, &recoverable);
	if (r < 0)
		return r;
	result.channels = (uint32_t)channels;
	result.sample_rate = (uint32_t)sample_rate;
	result.recoverable_bytes = (uint64_t)recoverable;
	result.frames = frames < 0 ? PROBE_FRAMES_UNKNOWN : (uint64_t)frames;
	*ret_probe = result;
	return 0;
}

static int read_source(const json_t *message, struct ingest_request *ingest)
{
	const json_t *firm = json_object_get(message, "firm");
	_cleanup_free_ uint8_t *source = NULL;
	size_t len;
	int r = intake_wire_bytes(message, "source", CATALOG_LOOKUP_BYTES, &source, &len);

	if (r == 0 && (len != CATALOG_LOOKUP_BYTES || !json_is_boolean(firm)))
		r = -RE_PROTOCOL;
	if (r < 0)
		return r;
	memcpy(ingest->source, source, CATALOG_LOOKUP_BYTES);
	ingest->firm = json_is_true(firm);
	return 0;
}

/* Longer account names than the catalog takes are passed on: ingest quarantines them. */
static int read_account_name(const json_t *message, struct intake_request *request)
{
	const json_t *account = json_object_get(message, "account");
	int r = 0;

	if (!json_is_null(account))
		r = intake_wire_bytes(message, "account", PATH_BYTES_MAX, &request->account,
				&request->ingest.account_len);
	request->ingest.account = request->account;
	return r;
}

/* What lay beside the recording. */
static int read_beside(const json_t *message, struct ingest_request *ingest)
{
	const json_t *discarded = json_object_get(message, "discarded");

	ingest->sidecars = json_object_get(message, "sidecars");
	if (!json_is_boolean(discarded))
		return -RE_PROTOCOL;
	ingest->discarded = json_is_true(discarded);
	return recordings_check_sidecars(ingest->sidecars);
}

int intake_request_read(const json_t *message, struct intake_request *ret_request)
{
	struct intake_request request = {0};
	int64_t plain_bytes, finished_us;
	int r = read_account_name(message, &request);

	if (r == 0)
		r = intake_wire_bytes(message, "path", PATH_BYTES_MAX, &request.path,
				&request.ingest.path_len);
	/* A NUL would cut the path where it is shown. */
	if (r == 0)
		r = request.ingest.path_len > 0 && !memchr(request.path, 0, request.ingest.path_len)
				    ? 0
				    : -RE_PROTOCOL;
	if (r == 0)
		r = read_name(message, "spool", &request.ingest.spool);
	if (r == 0)
		r = read_name(message, "class", &request.ingest.class);
	if (r == 0)
		r = read_source(message, &request.ingest);
	if (r == 0)
		r = intake_request_number(message, "recorded_us", INTAKE_TIME_MAX_US,
				&request.ingest.recorded_us);
	if (r == 0) /* only checked: the exposure comes with "unlinked" */
		r = intake_request_number(message, "finished_us", INTAKE_TIME_MAX_US, &finished_us);
	if (r == 0)
		r = intake_request_number(message, "plain_bytes", INT64_MAX, &plain_bytes);
	if (r == 0)
		r = read_probe(message, &request.ingest.probe);
	if (r == 0)
		r = read_beside(message, &request.ingest);
	if (r < 0) {
		intake_request_clear(&request);
		return r;
	}
	request.ingest.plain_bytes = (uint64_t)plain_bytes;
	request.ingest.path = request.path;
	*ret_request = request;
	return 0;
}

/* How much is in the spool; nothing of it while the intake has not counted yet. */
static int read_found(const json_t *message, struct spool_question *question)
{
	const json_t *empty = json_object_get(message, "empty");
	int r = read_optional(message, "files", INTAKE_COUNT_MAX, -1, &question->files);

	if (r == 0 && (question->files >= 0) != json_is_boolean(empty))
		r = -RE_PROTOCOL;
	question->empty = json_is_true(empty);
	if (r == 0)
		r = read_optional(
				message, "recordings", INTAKE_COUNT_MAX, 0, &question->recordings);
	if (r == 0)
		r = read_optional(message, "bytes", INT64_MAX, 0, &question->bytes);
	return r;
}

int intake_request_spool(const json_t *message, struct spool_question *ret_question)
{
	const char *first = json_string_value(json_object_get(message, "first"));
	_cleanup_free_ uint8_t *folder = NULL;
	struct spool_question question = {.take = first && strcmp(first, "take") == 0};
	const char *name;
	size_t len;
	int r = read_name(message, "spool", &name);

	if (r == 0 && !question.take && (!first || strcmp(first, "wait") != 0))
		r = -RE_PROTOCOL;
	if (r == 0)
		r = intake_wire_bytes(message, "folder", SPOOL_FOLDER_BYTES, &folder, &len);
	if (r == 0 && len != SPOOL_FOLDER_BYTES)
		r = -RE_PROTOCOL;
	if (r == 0)
		r = read_found(message, &question);
	if (r < 0)
		return r;
	strcpy(question.name, name); /* bounded by read_name() */
	memcpy(question.folder, folder, sizeof(question.folder));
	*ret_question = question;
	return 0;
}
