/* recsealctl quarantine: what could not be sealed for an account goes to the one it belongs to. */
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

static enum cli_exit check_assignment(const struct arguments *arguments, const char **ret_account,
		const char **ret_reason)
{
	const char *account = arguments->options->value[OPTION_ACCOUNT];

	if (!account || !*account) {
		output_error("quarantine assign needs --account ACCOUNT: whose recording it is");
		return CLI_USAGE;
	}
	const char *reason = command_reason(arguments);
	if (!reason || !command_utf8("reason", reason) || !command_utf8("account", account) ||
			!command_utf8("recording", arguments->operands[0]))
		return CLI_USAGE;
	*ret_account = account;
	*ret_reason = reason;
	return CLI_DONE;
}

static void print_assigned(const json_t *recording, int64_t epoch)
{
	fputs("Recording ", stdout);
	output_text(stdout, field_text(recording, "id"));
	fputs(" belongs to account ", stdout);
	output_text(stdout, field_text(recording, "account"));
	printf(" now: its key moved there, epoch %lld.\n", (long long)epoch);
}

enum cli_exit cmd_quarantine_assign(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *account, *reason;
	enum cli_exit e = check_assignment(arguments, &account, &reason);

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
	print_assigned(recording, field_int(reply.parameters, "epoch", 0));
	return CLI_DONE;
}
