#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

static enum cli_exit check_usage(const struct arguments *arguments, const char **ret_account,
		const char **ret_reason)
{
	const char *account = arguments->options->value[OPTION_ACCOUNT];

	if (!account || !*account) {
		output_error("quarantine assign needs --account: whose recording is it?");
		return CLI_USAGE;
	}
	const char *reason = command_reason(&command_quarantine_assign, arguments);
	if (!reason || !command_utf8("reason", reason) || !command_utf8("account", account) ||
			!command_utf8("recording", arguments->operands[0]))
		return CLI_USAGE;
	*ret_account = account;
	*ret_reason = reason;
	return CLI_DONE;
}

static void describe(const json_t *recording, int64_t epoch)
{
	fputs("Recording ", stdout);
	output_text(stdout, field_text(recording, "id"));
	fputs(" belongs to account ", stdout);
	output_text(stdout, field_text(recording, "account"));
	printf(" now: its key moved there, epoch %lld.\n", (long long)epoch);
}

static enum cli_exit run_assign(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *account, *reason;
	enum cli_exit e = check_usage(arguments, &account, &reason);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "AssignRecording",
				json_pack("{s:s, s:s, s:s}", "recording", arguments->operands[0],
						"account", account, "reason", reason),
				&reply);
	if (e != CLI_DONE)
		return e;
	const json_t *recording = field_object(reply.parameters, "recording");
	if (!field_text(recording, "id") || !field_text(recording, "account"))
		return control_nonsense("AssignRecording");
	if (command_json(arguments))
		return output_json(recording);
	describe(recording, field_int(reply.parameters, "epoch", 0));
	return CLI_DONE;
}

const struct command command_quarantine_assign = {
		.name = "quarantine assign",
		.synopsis = "REC --account A [--json] --reason TEXT",
		.summary = "give a recording from quarantine to its account",
		.help = "Gives a recording that could not be sealed for an account, and so lies in "
			"quarantine, to\nthe account it belongs to. Its key moves there, and is erased from "
			"where it was: who may\nplay the account's recordings may play it, and a shred of the "
			"account destroys it. When\nit expires stays as it was. The account must have been "
			"known before.\n`recsealctl list --state quarantined` shows what is there; what "
			"belongs to nobody is\ndestroyed with `recsealctl shred recording`.\n",
		.examples = "  recsealctl quarantine assign 01kaw5q7v3c2m9x0r8t4e6h1zn --account acme "
			    "--reason 'ticket 4711'\n",
		.min_operands = 1,
		.max_operands = 1,
		.options = OPTION_BIT(OPTION_ACCOUNT) | OPTION_BIT(OPTION_REASON),
		.run = run_assign,
};
