/* recsealctl shred: shows what would be destroyed, asks, orders it, and prints a statement that can
 * be filed. */
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

/* One shred, from its plan to its statement. */
struct shred {
	const struct arguments *arguments;
	struct shred_target target;
	const char *reason;
	struct varlink_client *client;
};

static bool asks_first(const struct shred *shred)
{
	return !options_given(shred->arguments->options, OPTION_YES);
}

static bool is_dry_run(const struct shred *shred)
{
	return options_given(shred->arguments->options, OPTION_DRY_RUN);
}

static enum cli_exit check_shred(struct shred *shred)
{
	if (!command_utf8(shred->target.kind, shred->target.name))
		return CLI_USAGE;
	if (is_dry_run(shred))
		return CLI_DONE;
	shred->reason = command_reason(shred->arguments);
	if (!shred->reason || !command_utf8("reason", shred->reason))
		return CLI_USAGE;
	if (asks_first(shred) && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
		output_error("%s asks before it destroys, and this is not a terminal; use "
			     "--dry-run to see the plan, or --yes to go on without asking",
				shred->arguments->command->name);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

/* Asks for the name or id, as the plan printed it, and reads a line. A name that looks like another
 * may be typed as the plan spells it: not every keyboard makes it otherwise. */
static enum cli_exit confirm_shred(
		const struct shred *shred, const json_t *plan, const char *expected, FILE *f)
{
	const char *spelling = field_text(plan, "spelling");
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
	if (n > 0 && (strcmp(line, expected) == 0 || (spelling && strcmp(line, spelling) == 0)))
		return CLI_DONE;
	output_error("not confirmed: nothing was destroyed");
	return CLI_ERROR;
}

/* Of the plan, and of the deed once the plan's reason is given. */
static json_t *make_shred_parameters(const struct shred *shred, const char *reason)
{
	bool with_parts = options_given(shred->arguments->options, OPTION_WITH_PARTS);

	return json_pack("{s:s, s:s*, s:o*}", shred->target.kind, shred->target.name, "reason",
			reason, "with_parts", with_parts ? json_true() : NULL);
}

static enum cli_exit order_shred(struct shred *shred, const char *confirmed)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	enum cli_exit e = control_call(shred->client, CONTROL_INTERFACE "Shred",
			make_shred_parameters(shred, shred->reason), &reply);

	if (e != CLI_DONE)
		return e;
	const json_t *result = field_object(reply.parameters, "result");
	/* The statement will be filed: one that lacks its facts would be worse than an error. */
	if (!field_text(result, "destroyed_at") || !field_text(result, "assurance") ||
			!json_is_integer(json_object_get(result, "epoch_after")) ||
			!json_is_integer(json_object_get(result, "recordings")))
		return control_nonsense("Shred");
	if (command_json(shred->arguments))
		return output_json(result);
	shred_words_result(result, &shred->target, confirmed, shred->reason, stdout);
	return CLI_DONE;
}

static enum cli_exit print_plan(const struct shred *shred, const json_t *plan)
{
	if (command_json(shred->arguments))
		return output_json(plan);
	shred_words_plan(plan, &shred->target, stdout);
	return CLI_DONE;
}

static enum cli_exit plan_and_shred(struct shred *shred)
{
	_cleanup_reply_ struct varlink_reply reply = {0};
	/* With --json standard output is the result alone; plan and question go elsewhere. */
	FILE *talk = command_json(shred->arguments) ? stderr : stdout;
	enum cli_exit e = control_call(shred->client, CONTROL_INTERFACE "PlanShred",
			make_shred_parameters(shred, NULL), &reply);

	if (e != CLI_DONE)
		return e;
	const json_t *plan = field_object(reply.parameters, "plan");
	if (!plan || !json_is_integer(json_object_get(plan, "recordings")))
		return control_nonsense("PlanShred");
	if (is_dry_run(shred))
		return print_plan(shred, plan);
	const char *expected = shred_words_confirmation(plan, &shred->target);
	if (asks_first(shred)) {
		shred_words_plan(plan, &shred->target, talk);
		e = confirm_shred(shred, plan, expected, talk);
	}
	return e == CLI_DONE ? order_shred(shred, expected) : e;
}

static enum cli_exit run_shred(const struct arguments *arguments, const char *kind)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	struct shred shred = {
			.arguments = arguments,
			.target = {.kind = kind, .name = arguments->operands[0]},
	};
	enum cli_exit e = check_shred(&shred);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e != CLI_DONE)
		return e;
	shred.client = client;
	return plan_and_shred(&shred);
}

enum cli_exit cmd_shred_account(const struct arguments *arguments)
{
	return run_shred(arguments, "account");
}

enum cli_exit cmd_shred_recording(const struct arguments *arguments)
{
	return run_shred(arguments, "recording");
}
