/* recsealctl spool accept: somebody says that recordings may be taken from a spool. */
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

static void print_accepted(const json_t *answer)
{
	char files[OUTPUT_BYTES], recordings[OUTPUT_BYTES], size[OUTPUT_BYTES];

	output_count(field_int(answer, "files", 0), "file", files);
	output_count(field_int(answer, "recordings", 0), "recording", recordings);
	output_bytes(field_int(answer, "bytes", 0), size);
	fputs("Spool ", stdout);
	output_text(stdout, field_text(answer, "spool"));
	printf(" is accepted: recordings are taken from it from now on.\n"
	       "When it was counted last it held %s: %s, %s.\n",
			files, recordings, size);
}

enum cli_exit cmd_spool_accept(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *reason = command_reason(arguments);

	if (!reason || !command_utf8("reason", reason) ||
			!command_utf8("spool", arguments->operands[0]))
		return CLI_USAGE;
	enum cli_exit e = session_open(arguments, &client);
	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "AcceptSpool",
				json_pack("{s:s, s:s}", "spool", arguments->operands[0], "reason",
						reason),
				&reply);
	if (e != CLI_DONE)
		return e;
	if (!field_text(reply.parameters, "spool"))
		return control_nonsense("AcceptSpool");
	if (command_json(arguments))
		return output_json(reply.parameters);
	print_accepted(reply.parameters);
	return CLI_DONE;
}
