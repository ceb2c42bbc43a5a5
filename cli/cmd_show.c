/* recsealctl show: everything known about one recording. */
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

enum cli_exit cmd_show(const struct arguments *arguments)
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
