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

#define DEFAULT_REASON      "integrity check"
#define PROGRESS_STEP_BYTES (INT64_C(64) << 20)

struct verification {
	struct varlink_client *client;
	const char *reason;
	bool all;             /* --all: what was shredded since it was listed is no finding */
	json_t *bad;          /* [{id, error}] */
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
	/* The keeper's errors name the recording already. */
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

/* Whether an error of the reading side is about the object, not about us or the keeper. */
static bool is_damage(int r)
{
	return r == -RE_PAYLOAD || r == -EIO;
}

/* Every chunk of one object; and the size that the catalog remembers. */
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

/* An error reply: a finding about this recording, or the end of the whole check. */
static enum cli_exit judge_error(
		struct verification *v, const char *id, const struct varlink_reply *reply)
{
	_cleanup_free_ char *problem = control_error_problem(reply);
	enum cli_exit e = control_error_exit(reply);

	if (!problem)
		return output_oom();
	/* The keeper checks the header: its MAC and its wrap. */
	if (strcmp(reply->error, CONTROL_INTERFACE "Damaged") == 0)
		return add_damaged(v, id, problem);
	if (e == CLI_GONE || e == CLI_NOT_FOUND) {
		if (v->all) {
			v->total--;
			return CLI_DONE;
		}
		if (v->worst == CLI_DONE)
			v->worst = e;
		return add_finding(v, id, problem);
	}
	clear_progress(v);
	output_error("%s: %s", id, problem);
	return e;
}

static enum cli_exit verify_one(struct verification *v, const char *id)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	json_t *call = json_pack(
			"{s:s, s:s, s:s}", "id", id, "purpose", "verify", "reason", v->reason);
	int r = varlink_call(v->client, CONTROL_INTERFACE "OpenRecording", call, &reply);

	show_progress(v);
	if (r == VARLINK_FAILED)
		return judge_error(v, id, &reply);
	if (r == VARLINK_REPLIED)
		return check_object(v, id, &reply);
	_cleanup_free_ char *problem = control_broken_problem(r);
	clear_progress(v);
	output_error("%s", problem ? problem : "out of memory");
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
	return e;
}

static enum cli_exit verify_named(struct verification *v, const struct arguments *arguments)
{
	enum cli_exit e = CLI_DONE;

	v->total = arguments->n_operands;
	for (size_t i = 0; e == CLI_DONE && i < arguments->n_operands; i++)
		e = verify_one(v, arguments->operands[i]);
	return e;
}

static enum cli_exit summarise(const struct verification *v, bool json)
{
	char verified[OUTPUT_BYTES];

	if (json) {
		json_t *summary = json_pack("{s:I, s:I, s:O}", "checked",
				(json_int_t)(v->ok + json_array_size(v->bad)), "ok",
				(json_int_t)v->ok, "bad", v->bad);
		if (!summary)
			return output_oom();
		output_json(summary);
		json_decref(summary);
	} else {
		output_count((int64_t)v->ok, "recording", verified);
		printf("%s verified, %" PRIu64 " damaged\n", verified, v->damaged);
	}
	return v->damaged > 0 ? CLI_ERROR : v->worst;
}

static enum cli_exit check_usage(const struct arguments *arguments, const char *reason)
{
	bool all = options_given(arguments->options, OPTION_ALL);

	if (all == (arguments->n_operands > 0)) {
		output_error("verify takes either recordings or --all; see recsealctl verify --help");
		return CLI_USAGE;
	}
	for (size_t i = 0; i < arguments->n_operands; i++) {
		if (!command_utf8("recording", arguments->operands[i]))
			return CLI_USAGE;
	}
	return command_utf8("reason", reason) ? CLI_DONE : CLI_USAGE;
}

static enum cli_exit run_verify(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	const char *given = arguments->options->value[OPTION_REASON];
	struct verification v = {
			.reason = given && *given ? given : DEFAULT_REASON,
			.all = options_given(arguments->options, OPTION_ALL),
			.progress = isatty(STDERR_FILENO),
	};
	enum cli_exit e = check_usage(arguments, v.reason);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e != CLI_DONE)
		return e;
	v.client = client;
	v.bad = json_array();
	e = v.all ? verify_all(&v) : verify_named(&v, arguments);
	clear_progress(&v);
	if (e == CLI_DONE)
		e = summarise(&v, command_json(arguments));
	json_decref(v.bad);
	return e;
}

const struct command command_verify = {
		.name = "verify",
		.synopsis = "REC... | --all [--reason TEXT] [--json]",
		.summary = "check that recordings open, to the last byte",
		.help = "Opens recordings as play would, header and every piece, and throws the bytes "
			"away. With\n--all, every recording that still has its key. Exit status 1 if any "
			"is damaged. The\naudit trail gets the reason, \"" DEFAULT_REASON
			"\" if none is given. --json prints\n{checked, ok, bad: [{id, error}]}.\n",
		.examples = "  recsealctl verify --all\n"
			    "  recsealctl verify 01kaw5q7v3c2m9x0r8t4e6h1zn --reason 'restored from "
			    "tape'\n"
			    "  recsealctl verify --all --json | jq -r '.bad[].id'\n",
		.max_operands = OPERANDS_ANY,
		.options = OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_REASON),
		.run = run_verify,
};
