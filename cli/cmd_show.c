#include "cli/command.h"
#include "cli/describe.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

static enum cli_exit run_show(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *id = arguments->operands[0];
	enum cli_exit e = command_utf8("recording", id) ? session_open(arguments, &client)
							: CLI_USAGE;

	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "ShowRecording",
				json_pack("{s:s}", "id", id), &reply);
	if (e != CLI_DONE)
		return e;
	const json_t *recording = field_object(reply.parameters, "recording");
	if (!recording)
		return control_nonsense("ShowRecording");
	if (command_json(arguments))
		return output_json(recording);
	describe_recording(recording, stdout);
	return CLI_DONE;
}

const struct command command_show = {
		.name = "show",
		.synopsis = "REC [--json]",
		.summary = "everything known about one recording",
		.help = "Shows one recording, by the id that `recsealctl list` prints. A destroyed one "
			"can still\nbe shown, without what its account's key sealed.\n",
		.examples = "  recsealctl show 01kaw5q7v3c2m9x0r8t4e6h1zn\n"
			    "  recsealctl show 01kaw5q7v3c2m9x0r8t4e6h1zn --json | jq .expires_at\n",
		.min_operands = 1,
		.max_operands = 1,
		.run = run_show,
};
