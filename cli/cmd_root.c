/* Where the root of the keys is kept, and its mirrors. */
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"

/* The last column: what there is to know beside the state. */
static const char *remark_of(const json_t *place, char ret_text[static OUTPUT_BYTES])
{
	if (!json_is_integer(json_object_get(place, "given_up_epoch")))
		return field_text(place, "trouble");
	snprintf(ret_text, OUTPUT_BYTES, "holds the root of epoch %lld",
			(long long)field_int(place, "given_up_epoch", 0));
	return ret_text;
}

static const char *since_of(const json_t *place)
{
	const char *given_up = field_text(place, "given_up_at");

	return given_up ? given_up : field_text(place, "away_since");
}

static int add_row(struct table *table, const json_t *place)
{
	char text[OUTPUT_BYTES];
	const char *const cells[] = {field_text(place, "name"), field_text(place, "state"),
			field_text(place, "assurance"), field_text(place, "place"), since_of(place),
			remark_of(place, text)};

	return table_row(table, cells);
}

static enum cli_exit print_places(json_t *places)
{
	static const struct table_column columns[] = {{"NAME", false}, {"STATE", false},
			{"ASSURANCE", false}, {"PLACE", false}, {"SINCE", false},
			{"REMARK", false}};
	struct table *table = table_new(columns, ELEMENTSOF(columns));
	int r = table ? 0 : -1;
	json_t *place;
	size_t i;

	json_array_foreach(places, i, place)
	{
		if (r == 0)
			r = add_row(table, place);
	}
	if (r == 0)
		table_flush(table, stdout);
	table_free(table);
	return r < 0 ? output_oom() : CLI_DONE;
}

/* Calls a method that answers with all places; steals the parameters. */
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
	json_t *places = field_array(ret_reply->parameters, "places");
	if (!places)
		return control_nonsense(method);
	if (command_json(arguments))
		return output_json(places);
	e = print_places(places);
	const char *note = field_text(ret_reply->parameters, "note");
	if (e == CLI_DONE && note) {
		fputs("Note: ", stdout);
		output_text(stdout, note);
		putchar('\n');
	}
	return e;
}

static enum cli_exit run_show(const struct arguments *arguments)
{
	_cleanup_reply_ struct varlink_reply reply = {0};

	return call_root(arguments, "ShowRoot", json_object(), &reply);
}

static enum cli_exit run_test(const struct arguments *arguments)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	enum cli_exit e = call_root(arguments, "ShowRoot", json_object(), &reply);
	json_t *place;
	size_t i;

	if (e != CLI_DONE)
		return e;
	json_array_foreach(field_array(reply.parameters, "places"), i, place)
	{
		const char *state = field_text(place, "state");
		if (!state || (strcmp(state, "in use") != 0 && strcmp(state, "given up") != 0)) {
			output_error("not every place of the root can be reached: nothing is erased");
			return CLI_ERROR;
		}
	}
	return CLI_DONE;
}

/* --file or --tpm2, as "kind" and "place". Neither is for the keeper to judge; both are a mistake.
 */
static enum cli_exit add_place(const struct arguments *arguments, json_t *parameters)
{
	const char *file = arguments->options->value[OPTION_FILE];
	const char *tpm2 = arguments->options->value[OPTION_TPM2];
	const char *place = file ? file : tpm2;

	if (file && tpm2) {
		output_error("give either --file or --tpm2");
		return CLI_USAGE;
	}
	if (!place)
		return CLI_DONE;
	if (!command_utf8("place", place))
		return CLI_USAGE;
	json_object_set_new(parameters, "kind", json_string(file ? "file" : "tpm2"));
	json_object_set_new(parameters, "place", json_string(place));
	return CLI_DONE;
}

static enum cli_exit run_change(const struct command *command, const char *method,
		const struct arguments *arguments, bool needs_place)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *name = arguments->operands[0];
	const char *reason = command_reason(command, arguments);

	if (!reason || !command_utf8("reason", reason) || !command_utf8("name", name))
		return CLI_USAGE;
	json_t *parameters = json_pack("{s:s, s:s}", "name", name, "reason", reason);
	enum cli_exit e = add_place(arguments, parameters);
	if (e == CLI_DONE && needs_place && !json_object_get(parameters, "place")) {
		output_error("%s: say where: --file DIR or --tpm2 TCTI", command->name);
		e = CLI_USAGE;
	}
	if (e != CLI_DONE) {
		json_decref(parameters);
		return e;
	}
	return call_root(arguments, method, parameters, &reply);
}

static enum cli_exit run_add(const struct arguments *arguments)
{
	return run_change(&command_root_add, "AddRootMirror", arguments, true);
}

static enum cli_exit run_replace(const struct arguments *arguments)
{
	return run_change(&command_root_replace, "ReplaceRootMirror", arguments, false);
}

static enum cli_exit run_drop(const struct arguments *arguments)
{
	return run_change(&command_root_drop, "DropRootMirror", arguments, false);
}

#define PLACE_OPTIONS                                                                              \
	(OPTION_BIT(OPTION_FILE) | OPTION_BIT(OPTION_TPM2) | OPTION_BIT(OPTION_REASON))

const struct command command_root_show = {
		.name = "root show",
		.synopsis = "[--json]",
		.summary = "where the root of all keys is kept",
		.help = "Shows every place that holds the root: the keeper's own (main) and its mirrors, "
			"and\ncopies that were given up without being overwritten. Looks at each of them "
			"first.\n",
		.examples = "  recsealctl root show\n",
		.run = run_show,
};

const struct command command_root_test = {
		.name = "root test",
		.synopsis = "[--json]",
		.summary = "can every place of the root be reached, and does it hold the root?",
		.help = "As root show, but exits with 1 when a place cannot be reached or does not hold "
			"the\npresent root: for monitoring. Until all can be reached, nothing is erased.\n",
		.examples = "  recsealctl root test\n",
		.run = run_test,
};

const struct command command_root_add = {
		.name = "root add",
		.synopsis = "NAME (--file DIR | --tpm2 TCTI) --reason TEXT",
		.summary = "keep the root in one more place",
		.help = "Adds a mirror of the root: a file in a directory on other media, or a second "
			"TPM. The\nvault opens with any one of its places; an erasure is done when all of "
			"them have\noverwritten their copies. The assurance is that of the weakest place.\n",
		.examples = "  recsealctl root add safe --file /media/safe/recseal --reason 'mainboard "
			    "loss'\n"
			    "  recsealctl root add second --tpm2 device:/dev/tpmrm1 --reason 'second "
			    "TPM'\n",
		.min_operands = 1,
		.max_operands = 1,
		.options = PLACE_OPTIONS,
		.run = run_add,
};

const struct command command_root_replace = {
		.name = "root replace",
		.synopsis = "NAME [--file DIR | --tpm2 TCTI] --reason TEXT",
		.summary = "keep the root in a new place instead of an old one",
		.help = "Adds the new place of a mirror, then drops the old one as root drop does. For "
			"main, the\nkeeper's own place, give no new one: when it is lost (a dead TPM), it "
			"is made anew\nwhere the configuration says.\n",
		.examples = "  recsealctl root replace safe --file /media/new --reason 'old disk fails'\n"
			    "  recsealctl root replace main --reason 'mainboard changed'\n",
		.min_operands = 1,
		.max_operands = 1,
		.options = PLACE_OPTIONS,
		.run = run_replace,
};

const struct command command_root_drop = {
		.name = "root drop",
		.synopsis = "NAME --reason TEXT",
		.summary = "overwrite a mirror of the root, or give up a lost one",
		.help = "Overwrites the mirror's copy of the root and forgets the mirror. One that cannot "
			"be\nreached is given up once it has been away for AwayLimit= (7 days): its copy "
			"is then not\noverwritten, every shred says so, and the mirror stays on record. "
			"Drop it again when\nit is back, and its copy is overwritten: before one in use of the "
			"same name, if there is.\n",
		.examples = "  recsealctl root drop safe --reason 'disk is retired'\n",
		.min_operands = 1,
		.max_operands = 1,
		.options = OPTION_BIT(OPTION_REASON),
		.run = run_drop,
};
