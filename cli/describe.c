#include "cli/describe.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/field.h"
#include "cli/look_alikes.h"
#include "cli/output.h"

char *describe_counts(json_t *counts)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	const char *separator = "", *key;
	json_t *value;

	if (!f)
		return NULL;
	json_object_foreach(counts, key, value)
	{
		if (json_integer_value(value) <= 0)
			continue;
		fprintf(f, "%s%lld %s", separator, (long long)json_integer_value(value), key);
		separator = ", ";
	}
	if (!*separator)
		fputs("none", f);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *describe_range(const json_t *object)
{
	const char *oldest = field_text(object, "oldest_at");
	const char *newest = field_text(object, "newest_at");
	char *text;

	if (!oldest || !newest)
		return NULL;
	return asprintf(&text, "%s to %s", oldest, newest) < 0 ? NULL : text;
}

/* "destroyed 2026-... in epoch 42", or NULL. */
static char *format_destroyed(const json_t *object, const char *at_key, const char *epoch_key)
{
	const char *at = field_text(object, at_key);
	int64_t epoch = field_int(object, epoch_key, 0);
	char *text;

	if (!at)
		return NULL;
	if (epoch == 0)
		return asprintf(&text, "%s", at) < 0 ? NULL : text;
	return asprintf(&text, "%s, in epoch %lld", at, (long long)epoch) < 0 ? NULL : text;
}

/* "0:20, 312.5 KiB of audio": what is there of a damaged one, as far as it is known. */
static void describe_recoverable(const json_t *recording, FILE *f)
{
	char length[OUTPUT_BYTES], bytes[OUTPUT_BYTES];
	int64_t recoverable_bytes = field_int(recording, "recoverable_bytes", 0);
	double recoverable_s;
	bool timed = field_real(recording, "recoverable_s", &recoverable_s);

	if (timed)
		output_length(recoverable_s, length);
	output_bytes(recoverable_bytes, bytes);
	if (timed && recoverable_bytes > 0)
		output_factf(f, "recoverable", "%s, %s of audio", length, bytes);
	else if (timed)
		output_factf(f, "recoverable", "%s", length);
	else if (recoverable_bytes > 0)
		output_factf(f, "recoverable", "%s of audio", bytes);
}

static void describe_audio(const json_t *recording, FILE *f)
{
	char length[OUTPUT_BYTES], bytes[OUTPUT_BYTES];
	int64_t channels = field_int(recording, "channels", 0);
	int64_t rate = field_int(recording, "sample_rate", 0);
	double duration_s;

	if (field_real(recording, "duration_s", &duration_s)) {
		output_length(duration_s, length);
		output_fact(f, "length", length);
	}
	output_fact(f, "format", field_text(recording, "format"));
	if (channels > 0)
		output_factf(f, "channels", "%lld", (long long)channels);
	/* Without channels it is the clock of packets or of video. */
	if (rate > 0 && channels > 0)
		output_factf(f, "sample rate", "%lld Hz", (long long)rate);
	output_bytes(field_int(recording, "plaintext_bytes", 0), bytes);
	output_fact(f, "size", bytes);
}

/* Line ends come as \\x0a, like every control character; here they end a line again. */
static void describe_lines(const char *text, FILE *f)
{
	static const char newline[] = "\\x0a";

	while (text && *text) {
		const char *end = strstr(text, newline);
		_cleanup_free_ char *line =
				strndup(text, end ? (size_t)(end - text) : strlen(text));
		output_fact(f, "", line);
		text = end ? end + sizeof(newline) - 1 : NULL;
	}
}

static void describe_sidecars(json_t *sidecars, FILE *f)
{
	const json_t *sidecar;
	size_t i;

	json_array_foreach(sidecars, i, sidecar)
	{
		output_fact(f, "sidecar", field_text(sidecar, "path"));
		describe_lines(field_text(sidecar, "text"), f);
	}
}

void describe_recording(const json_t *recording, FILE *f)
{
	_cleanup_free_ char *destroyed =
			format_destroyed(recording, "destroyed_at", "destroyed_epoch");
	const char *account = field_text(recording, "account");
	const char *clock = field_text(recording, "clock");

	output_fact(f, "recording", field_text(recording, "id"));
	output_fact(f, "account", account ? account : "(unreadable: its key is destroyed)");
	output_fact(f, "account handle", field_text(recording, "account_handle"));
	output_fact(f, "state", field_text(recording, "state"));
	output_fact(f, "quarantined", field_text(recording, "quarantine_reason"));
	output_fact(f, "condition", field_text(recording, "condition"));
	output_fact(f, "damage", field_text(recording, "damage"));
	describe_recoverable(recording, f);
	output_fact(f, "class", field_text(recording, "class"));
	output_fact(f, "recorded", field_text(recording, "recorded_at"));
	output_fact(f, "sealed", field_text(recording, "sealed_at"));
	output_fact(f, "expires", field_text(recording, "expires_at"));
	if (clock && strcmp(clock, "known") != 0)
		output_fact(f, "its times",
				strcmp(clock, "unknown") == 0
						? "not certain: the time was not known when "
						  "it was sealed"
						: "put right: the time was not known when it "
						  "was sealed");
	output_fact(f, "destroyed", destroyed);
	describe_audio(recording, f);
	output_fact(f, "spool", field_text(recording, "spool"));
	output_fact(f, "file name", field_text(recording, "name"));
	output_fact(f, "path", field_text(recording, "path"));
	output_fact(f, "follows", field_text(recording, "follows"));
	if (field_true(recording, "discarded"))
		output_fact(f, "discarded", "by its bridge; sealed all the same");
	output_fact(f, "object", field_text(recording, "object"));
	describe_sidecars(field_array(recording, "sidecars"), f);
}

void describe_account(const json_t *account, FILE *f)
{
	_cleanup_free_ char *deleted = format_destroyed(account, "deleted_at", "deleted_epoch");
	_cleanup_free_ char *counts = describe_counts(field_object(account, "recordings"));
	_cleanup_free_ char *range = describe_range(account);
	const char *name = field_text(account, "name");
	char bytes[OUTPUT_BYTES];

	output_fact(f, "account", name ? name : "(unreadable: its key is destroyed)");
	output_fact(f, "handle", field_text(account, "handle"));
	output_fact(f, "state", field_text(account, "state"));
	output_fact(f, "created", field_text(account, "created_at"));
	output_fact(f, "deleted", deleted);
	output_fact(f, "recordings", counts);
	output_bytes(field_int(account, "plaintext_bytes", 0), bytes);
	output_fact(f, "size", bytes);
	output_fact(f, "recorded", range);
	look_alikes_print(account, f);
}
