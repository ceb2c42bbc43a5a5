#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/shred_words.h"

/* One shred, from its plan to its result. */
struct shred {
	const struct arguments *arguments;
	struct shred_target target;
	const char *reason;
	struct varlink_client *client;
};

static bool asks(const struct shred *shred)
{
	return !options_given(shred->arguments->options, OPTION_YES);
}

static bool dry(const struct shred *shred)
{
	return options_given(shred->arguments->options, OPTION_DRY_RUN);
}

static enum cli_exit check_usage(const struct command *command, struct shred *shred)
{
	if (!command_utf8(shred->target.kind, shred->target.name))
		return CLI_USAGE;
	if (dry(shred))
		return CLI_DONE;
	shred->reason = command_reason(command, shred->arguments);
	if (!shred->reason || !command_utf8("reason", shred->reason))
		return CLI_USAGE;
	if (asks(shred) && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
		output_error("%s asks before it destroys, and this is not a terminal: use "
			     "--dry-run to see the plan, --yes to go on without asking",
				command->name);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

/* Reads a line and compares it; the names are as printed. */
static enum cli_exit confirm(const struct shred *shred, const char *expected, FILE *f)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	fprintf(f, "\nType the %s's %s (", shred->target.kind,
			strcmp(shred->target.kind, "account") == 0 ? "name" : "id");
	output_text(f, expected);
	fputs(") to destroy it: ", f);
	fflush(f);
	ssize_t n = getline(&line, &size, stdin);
	if (n > 0 && line[n - 1] == '\n')
		line[n - 1] = '\0';
	if (n > 0 && strcmp(line, expected) == 0)
		return CLI_DONE;
	output_error("not confirmed: nothing was destroyed");
	return CLI_ERROR;
}

static json_t *target_parameters(const struct shred *shred)
{
	return json_pack("{s:s, s:s*}", shred->target.kind, shred->target.name, "reason",
			shred->reason);
}

static enum cli_exit carry_out(struct shred *shred, const char *confirmed)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	enum cli_exit e = control_call(
			shred->client, CONTROL_INTERFACE "Shred", target_parameters(shred), &reply);

	if (e != CLI_DONE)
		return e;
	const json_t *result = field_object(reply.parameters, "result");
	/* A filed result that lacks its facts would be worse than an error. */
	if (!field_text(result, "destroyed_at") || !field_text(result, "assurance") ||
			!json_is_integer(json_object_get(result, "epoch_after")) ||
			!json_is_integer(json_object_get(result, "recordings")))
		return control_nonsense("Shred");
	if (command_json(shred->arguments))
		return output_json(result);
	shred_words_result(result, &shred->target, confirmed, shred->reason, stdout);
	return CLI_DONE;
}

static enum cli_exit show_plan(const struct shred *shred, const json_t *plan)
{
	if (command_json(shred->arguments))
		return output_json(plan);
	shred_words_plan(plan, &shred->target, stdout);
	return CLI_DONE;
}

static enum cli_exit plan_and_shred(struct shred *shred)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	/* What is asked must not mix with JSON. */
	FILE *talk = command_json(shred->arguments) ? stderr : stdout;
	json_t *parameters = json_pack("{s:s}", shred->target.kind, shred->target.name);
	enum cli_exit e = control_call(
			shred->client, CONTROL_INTERFACE "PlanShred", parameters, &reply);

	if (e != CLI_DONE)
		return e;
	const json_t *plan = field_object(reply.parameters, "plan");
	if (!plan || !json_is_integer(json_object_get(plan, "recordings")))
		return control_nonsense("PlanShred");
	if (dry(shred))
		return show_plan(shred, plan);
	const char *expected = shred_words_confirmation(plan, &shred->target);
	if (asks(shred)) {
		shred_words_plan(plan, &shred->target, talk);
		e = confirm(shred, expected, talk);
	}
	return e == CLI_DONE ? carry_out(shred, expected) : e;
}

static enum cli_exit run_shred(
		const struct command *command, const char *kind, const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	struct shred shred = {
			.arguments = arguments,
			.target = {.kind = kind, .name = arguments->operands[0]},
	};
	enum cli_exit e = check_usage(command, &shred);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e != CLI_DONE)
		return e;
	shred.client = client;
	return plan_and_shred(&shred);
}

static enum cli_exit run_shred_account(const struct arguments *arguments)
{
	return run_shred(&command_shred_account, "account", arguments);
}

static enum cli_exit run_shred_recording(const struct arguments *arguments)
{
	return run_shred(&command_shred_recording, "recording", arguments);
}

#define SHRED_OPTIONS                                                                              \
	(OPTION_BIT(OPTION_DRY_RUN) | OPTION_BIT(OPTION_YES) | OPTION_BIT(OPTION_REASON))

const struct command command_shred_account = {
		.name = "shred account",
		.synopsis = "A [--dry-run] [--yes] --reason TEXT",
		.summary = "destroy an account's keys: all its recordings, for ever",
		.help = "Destroys the keys of an account, and with them all its recordings, its name and "
			"its file\nnames: copies and backups of the vault's storage do not open them any "
			"more, as far as\nthe assurance label says. On a terminal it shows the plan and "
			"asks for the account's\nname; elsewhere it needs --yes. It returns only when the "
			"keys are gone, and prints what\nwas destroyed and what that does not prove. It "
			"cannot be undone.\n",
		.examples = "  recsealctl shred account acme --dry-run\n"
			    "  recsealctl shred account acme --reason 'GDPR 17 request 2026-031'\n"
			    "  recsealctl shred account acme --yes --json --reason 'contract ended' "
			    "> receipt.json\n",
		.min_operands = 1,
		.max_operands = 1,
		.options = SHRED_OPTIONS,
		.run = run_shred_account,
};

const struct command command_shred_recording = {
		.name = "shred recording",
		.synopsis = "REC [--dry-run] [--yes] --reason TEXT",
		.summary = "destroy one recording's key, for ever",
		.help = "Destroys the key of one recording: copies and backups of the vault's storage do "
			"not open it\nany more, as far as the assurance label says. On a terminal it shows "
			"the plan and asks\nfor the recording's id; elsewhere it needs --yes. It cannot be "
			"undone.\n",
		.examples = "  recsealctl shred recording 01kaw5q7v3c2m9x0r8t4e6h1zn --dry-run\n"
			    "  recsealctl shred recording 01kaw5q7v3c2m9x0r8t4e6h1zn --reason 'card "
			    "number was read out'\n",
		.min_operands = 1,
		.max_operands = 1,
		.options = SHRED_OPTIONS,
		.run = run_shred_recording,
};
