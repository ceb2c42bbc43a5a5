/* recsealctl root: where the root of the keys is kept, and its mirrors. */
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"

/* The last column: what else there is to know of the copy. */
static const char *choose_remark(const json_t *copy, char ret_text[static OUTPUT_BYTES])
{
	if (!json_is_integer(json_object_get(copy, "given_up_epoch")))
		return field_text(copy, "trouble");
	snprintf(ret_text, OUTPUT_BYTES, "holds the root of epoch %lld",
			(long long)field_int(copy, "given_up_epoch", 0));
	return ret_text;
}

static const char *choose_since(const json_t *copy)
{
	const char *given_up = field_text(copy, "given_up_at");

	return given_up ? given_up : field_text(copy, "away_since");
}

static int add_copy_row(struct table *table, const json_t *copy)
{
	char text[OUTPUT_BYTES];
	const char *const cells[] = {field_text(copy, "name"), field_text(copy, "state"),
			field_text(copy, "assurance"), field_text(copy, "place"),
			choose_since(copy), choose_remark(copy, text)};

	return table_row(table, cells);
}

static enum cli_exit print_copies(json_t *copies)
{
	static const struct table_column columns[] = {{"NAME", false}, {"STATE", false},
			{"ASSURANCE", false}, {"LOCATION", false}, {"SINCE", false},
			{"REMARK", false}};
	struct table *table = table_new(columns, ELEMENTSOF(columns));
	int r = table ? 0 : -1;
	json_t *copy;
	size_t i;

	json_array_foreach(copies, i, copy)
	{
		if (r == 0)
			r = add_copy_row(table, copy);
	}
	if (r == 0)
		table_flush(table, stdout);
	table_free(table);
	return r < 0 ? output_oom() : CLI_DONE;
}

/* Calls a method that answers with all copies of the root, and prints them. Takes the parameters
 * over. */
static enum cli_exit call_root(const struct arguments *arguments, const char *method,
		json_t *parameters, struct varlink_reply *ret_reply)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	char name[64];
	enum cli_exit e = session_open(arguments, &client);

	if (e != CLI_DONE) {
		json_decref(parameters);
		return e;
	}
	snprintf(name, sizeof(name), CONTROL_INTERFACE "%s", method);
	e = control_call(client, name, parameters, ret_reply);
	if (e != CLI_DONE)
		return e;
	json_t *copies = field_array(ret_reply->parameters, "places");
	if (!copies)
		return control_nonsense(method);
	if (command_json(arguments))
		return output_json(copies);
	e = print_copies(copies);
	const char *note = field_text(ret_reply->parameters, "note");
	if (e == CLI_DONE && note) {
		fputs("Note: ", stdout);
		output_text(stdout, note);
		putchar('\n');
	}
	return e;
}

enum cli_exit cmd_root_show(const struct arguments *arguments)
{
	_cleanup_reply_ struct varlink_reply reply = {0};

	return call_root(arguments, "ShowRoot", json_object(), &reply);
}

enum cli_exit cmd_root_test(const struct arguments *arguments)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	enum cli_exit e = call_root(arguments, "ShowRoot", json_object(), &reply);
	json_t *copy;
	size_t i;

	if (e != CLI_DONE)
		return e;
	json_array_foreach(field_array(reply.parameters, "places"), i, copy)
	{
		const char *state = field_text(copy, "state");
		if (!state || (strcmp(state, "in use") != 0 && strcmp(state, "given up") != 0)) {
			output_error("not every copy of the root can be reached; nothing is "
				     "erased until all can");
			return CLI_ERROR;
		}
	}
	return CLI_DONE;
}

/* --file or --tpm2, as "kind" and "place". Both at once are a mistake; whether one is needed
 * depends on the method. */
static enum cli_exit add_location(const struct arguments *arguments, json_t *parameters)
{
	const char *file = arguments->options->value[OPTION_FILE];
	const char *tpm2 = arguments->options->value[OPTION_TPM2];
	const char *location = file ? file : tpm2;

	if (file && tpm2) {
		output_error("--file and --tpm2 exclude each other; give one of them");
		return CLI_USAGE;
	}
	if (!location)
		return CLI_DONE;
	if (!command_utf8("location", location))
		return CLI_USAGE;
	json_object_set_new(parameters, "kind", json_string(file ? "file" : "tpm2"));
	json_object_set_new(parameters, "place", json_string(location));
	return CLI_DONE;
}

static enum cli_exit change_mirror(
		const struct arguments *arguments, const char *method, bool needs_location)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *name = arguments->operands[0];
	const char *reason = command_reason(arguments);

	if (!reason || !command_utf8("reason", reason) || !command_utf8("name", name))
		return CLI_USAGE;
	json_t *parameters = json_pack("{s:s, s:s}", "name", name, "reason", reason);
	enum cli_exit e = add_location(arguments, parameters);
	if (e == CLI_DONE && needs_location && !json_object_get(parameters, "place")) {
		output_error("%s needs a location: --file DIRECTORY or --tpm2 TCTI",
				arguments->command->name);
		e = CLI_USAGE;
	}
	if (e != CLI_DONE) {
		json_decref(parameters);
		return e;
	}
	return call_root(arguments, method, parameters, &reply);
}

enum cli_exit cmd_root_add(const struct arguments *arguments)
{
	return change_mirror(arguments, "AddRootMirror", true);
}

enum cli_exit cmd_root_replace(const struct arguments *arguments)
{
	return change_mirror(arguments, "ReplaceRootMirror", false);
}

enum cli_exit cmd_root_drop(const struct arguments *arguments)
{
	return change_mirror(arguments, "DropRootMirror", false);
}
