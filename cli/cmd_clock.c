/* recsealctl clock: an officer says that the machine's clock is right. */
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

static void print_confirmed(const json_t *clock, int64_t retimed)
{
	fputs("The clock of the keeper's machine is confirmed: it is ", stdout);
	output_text(stdout, field_text(clock, "machine_at"));
	fputs(" now. The vault counts on from there.\n", stdout);
	if (retimed > 0)
		printf("The times of %lld recordings that were sealed under a doubtful clock "
		       "are put right.\n",
				(long long)retimed);
}

enum cli_exit cmd_clock_confirm(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *reason = command_reason(arguments);

	if (!reason || !command_utf8("reason", reason))
		return CLI_USAGE;
	enum cli_exit e = session_open(arguments, &client);
	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "ConfirmClock",
				json_pack("{s:s}", "reason", reason), &reply);
	if (e != CLI_DONE)
		return e;
	const json_t *clock = field_object(reply.parameters, "clock");
	if (!field_text(clock, "machine_at"))
		return control_nonsense("ConfirmClock");
	if (command_json(arguments))
		return output_json(reply.parameters);
	print_confirmed(clock, field_int(reply.parameters, "retimed", 0));
	return CLI_DONE;
}
