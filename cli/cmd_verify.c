/* recsealctl verify: opens recordings as play does, header and every piece, and reports what is
 * damaged. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/id_list.h"
#include "cli/output.h"
#include "cli/sealed_object.h"
#include "cli/session.h"

#define PROGRESS_STEP_BYTES (INT64_C(64) << 20)

struct verification {
	struct varlink_client *client;
	const char *reason;
	bool all;             /* --all: a recording shredded since the listing is no finding */
	json_t *bad;          /* [{id, error}] */
	json_t *catalog;      /* findings about the catalog: sentences */
	uint64_t ok, damaged; /* recordings */
	uint64_t total;       /* to be checked */
	uint64_t read_bytes, next_step_bytes;
	bool progress;
	enum cli_exit worst; /* of named recordings that could not be checked */
};

static void show_progress(const struct verification *v)
{
	char bytes[OUTPUT_BYTES];

	if (!v->progress)
		return;
	output_bytes((int64_t)v->read_bytes, bytes);
	fprintf(stderr,
			"\rverifying: %" PRIu64 " of %" PRIu64 ", %" PRIu64
			" damaged, %s read \033[K",
			v->ok + v->damaged, v->total, v->damaged, bytes);
}

static void clear_progress(const struct verification *v)
{
	if (v->progress)
		fputs("\r\033[K", stderr);
}

static int count_piece(void *context, const uint8_t *plain, size_t len)
{
	struct verification *v = context;

	v->read_bytes += len;
	if (v->read_bytes >= v->next_step_bytes) {
		v->next_step_bytes = v->read_bytes + PROGRESS_STEP_BYTES;
		show_progress(v);
	}
	return 0;
}

static enum cli_exit add_finding(struct verification *v, const char *id, const char *error)
{
	json_t *finding = json_pack("{s:s, s:s}", "id", id, "error", error);

	clear_progress(v);
	/* Most of the keeper's errors name the recording already. */
	if (strstr(error, id))
		output_error("%s", error);
	else
		output_error("%s: %s", id, error);
	return finding && json_array_append_new(v->bad, finding) == 0 ? CLI_DONE : output_oom();
}

static enum cli_exit add_damaged(struct verification *v, const char *id, const char *error)
{
	v->damaged++;
	return add_finding(v, id, error);
}

/* Whether a failed read says that the object is damaged, rather than that we could not read it. */
static bool is_damage(int r)
{
	return r == -RE_PAYLOAD || r == -EIO;
}

/* Reads every chunk of one object, and compares its size with the catalog's. */
static enum cli_exit check_object(
		struct verification *v, const char *id, struct varlink_reply *reply)
{
	const json_t *recording = field_object(reply->parameters, "recording");
	int64_t expected = field_int(recording, "plaintext_bytes", -1);
	struct sealed_object *object = NULL;
	uint64_t done_bytes = 0;
	int r = sealed_object_open(reply, &object);

	if (r == 0 && expected >= 0 && sealed_object_plain_bytes(object) != (uint64_t)expected) {
		sealed_object_free(object);
		return add_damaged(v, id, "its size is not the one in the catalog");
	}
	if (r == 0)
		r = sealed_object_read(object, count_piece, v, &done_bytes);
	sealed_object_free(object);
	if (is_damage(r))
		return add_damaged(v, id, error_text(r));
	if (r < 0) {
		output_error("%s: cannot verify: %s", id, error_text(r));
		return CLI_ERROR;
	}
	v->ok++;
	return CLI_DONE;
}

/* An error reply: either a finding about this recording, or the end of the whole verification. */
static enum cli_exit judge_error(
		struct verification *v, const char *id, const struct varlink_reply *reply)
{
	struct reason reason = {0};
	enum cli_exit e = control_error_exit(reply);

	control_explain_error(reply, &reason);
	/* The keeper has checked the header: its MAC and the wrapped key. */
	if (strcmp(reply->error, CONTROL_INTERFACE "Damaged") == 0)
		return add_damaged(v, id, reason.text);
	if (e == CLI_GONE || e == CLI_NOT_FOUND) {
		if (v->all) {
			v->total--;
			return CLI_DONE;
		}
		if (v->worst == CLI_DONE)
			v->worst = e;
		return add_finding(v, id, reason.text);
	}
	clear_progress(v);
	output_error("%s: %s", id, reason.text);
	return e;
}

static enum cli_exit verify_one(struct verification *v, const char *id)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	json_t *call = json_pack(
			"{s:s, s:s, s:s}", "id", id, "purpose", "verify", "reason", v->reason);
	int r = varlink_client_call(v->client, CONTROL_INTERFACE "OpenRecording", call, &reply);

	show_progress(v);
	if (r == VARLINK_FAILED)
		return judge_error(v, id, &reply);
	if (r == VARLINK_REPLIED)
		return check_object(v, id, &reply);
	struct reason reason = {0};
	control_explain_broken(r, &reason);
	clear_progress(v);
	output_error("%s", reason.text);
	return CLI_ERROR;
}

static bool has_key(const char *state)
{
	return state && (strcmp(state, "sealed") == 0 || strcmp(state, "quarantined") == 0 ||
					strcmp(state, "held") == 0);
}

static int collect_page(void *context, const json_t *parameters)
{
	json_t *recordings = field_array(parameters, "recordings"), *recording;
	struct id_list *list = context;
	size_t i;

	json_array_foreach(recordings, i, recording)
	{
		const char *id = field_text(recording, "id");
		if (!has_key(field_text(recording, "state")))
			continue;
		int r = id ? id_list_add(list, id) : -EINVAL;
		if (r == -EINVAL)
			return -RE_PROTOCOL;
		if (r < 0)
			return r;
	}
	return recordings ? 0 : -RE_PROTOCOL;
}

static int collect_findings(void *context, const json_t *parameters)
{
	const json_t *findings = field_array(parameters, "findings"), *finding;
	struct verification *v = context;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		if (!json_is_string(finding))
			return -RE_PROTOCOL;
		clear_progress(v);
		output_error("%s", json_string_value(finding));
		if (json_array_append(v->catalog, (json_t *)(uintptr_t)finding) < 0)
			return -ENOMEM;
	}
	return findings ? 0 : -RE_PROTOCOL;
}

/* What the keeper's database says, against what the keeper wrote. */
static enum cli_exit verify_catalog(struct verification *v)
{
	return control_call_more(v->client, CONTROL_INTERFACE "VerifyCatalog", json_object(),
			collect_findings, v);
}

static enum cli_exit verify_all(struct verification *v)
{
	struct id_list list = {0};
	enum cli_exit e = control_call_more(v->client, CONTROL_INTERFACE "ListRecordings",
			json_object(), collect_page, &list);

	v->total = list.n;
	for (size_t i = 0; e == CLI_DONE && i < list.n; i++) {
		char id[ULID_TEXT_CHARS + 1];
		ulid_format(list.ids[i], id);
		e = verify_one(v, id);
	}
	id_list_free(&list);
	return e == CLI_DONE ? verify_catalog(v) : e;
}

static enum cli_exit verify_named(struct verification *v, const struct arguments *arguments)
{
	enum cli_exit e = CLI_DONE;

	v->total = arguments->n_operands;
	for (size_t i = 0; e == CLI_DONE && i < arguments->n_operands; i++)
		e = verify_one(v, arguments->operands[i]);
	return e;
}

static enum cli_exit print_summary(const struct verification *v, bool json)
{
	char verified[OUTPUT_BYTES];

	if (json) {
		json_t *summary = json_pack("{s:I, s:I, s:O, s:O}", "checked",
				(json_int_t)(v->ok + json_array_size(v->bad)), "ok",
				(json_int_t)v->ok, "bad", v->bad, "catalog", v->catalog);
		if (!summary)
			return output_oom();
		output_json(summary);
		json_decref(summary);
	} else {
		output_count((int64_t)v->ok, "recording", verified);
		printf("%s verified, %" PRIu64 " damaged\n", verified, v->damaged);
		if (json_array_size(v->catalog) > 0)
			printf("the catalog: %zu findings\n", json_array_size(v->catalog));
	}
	return v->damaged > 0 || json_array_size(v->catalog) > 0 ? CLI_ERROR : v->worst;
}

static enum cli_exit check_choice(const struct arguments *arguments, const char *reason)
{
	bool all = options_given(arguments->options, OPTION_ALL);

	if (all == (arguments->n_operands > 0)) {
		output_error("verify takes either recordings or --all; "
			     "see recsealctl verify --help");
		return CLI_USAGE;
	}
	for (size_t i = 0; i < arguments->n_operands; i++) {
		if (!command_utf8("recording", arguments->operands[i]))
			return CLI_USAGE;
	}
	return command_utf8("reason", reason) ? CLI_DONE : CLI_USAGE;
}

enum cli_exit cmd_verify(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	const char *given = arguments->options->value[OPTION_REASON];
	struct verification v = {
			.reason = given && *given ? given : COMMAND_VERIFY_REASON,
			.all = options_given(arguments->options, OPTION_ALL),
			.progress = isatty(STDERR_FILENO),
	};
	enum cli_exit e = check_choice(arguments, v.reason);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e != CLI_DONE)
		return e;
	v.client = client;
	v.bad = json_array();
	v.catalog = json_array();
	e = v.all ? verify_all(&v) : verify_named(&v, arguments);
	clear_progress(&v);
	if (e == CLI_DONE)
		e = print_summary(&v, command_json(arguments));
	json_decref(v.bad);
	json_decref(v.catalog);
	return e;
}
