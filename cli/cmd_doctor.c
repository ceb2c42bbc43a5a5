/* recsealctl doctor: what the keeper found out about how everything is set up. */
#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

/* Called for what is fine first, so that what to change stands last, next to the prompt. */
static void print_checks(json_t *checks, bool fine)
{
	json_t *check;
	size_t i;

	json_array_foreach(checks, i, check)
	{
		const char *advice = field_text(check, "advice");
		if (field_true(check, "fine") != fine)
			continue;
		fputs(fine ? "fine    " : "CHANGE  ", stdout);
		output_text(stdout, field_text(check, "where"));
		fputs(", ", stdout);
		output_text(stdout, field_text(check, "what"));
		fputs(": ", stdout);
		output_text(stdout, field_text(check, "finding"));
		if (advice) {
			fputs(". To do: ", stdout);
			output_text(stdout, advice);
		}
		putchar('\n');
	}
}

static bool is_check(const json_t *check)
{
	return field_text(check, "where") && field_text(check, "what") &&
	       field_text(check, "finding") && json_is_boolean(json_object_get(check, "fine"));
}

/* How many checks ask for a change; -1 when the answer is malformed. An empty answer is malformed,
 * too: it must not pass for "everything is fine". */
static int count_changes(json_t *checks)
{
	json_t *check;
	int changes = 0;
	size_t i;

	if (json_array_size(checks) == 0)
		return -1;
	json_array_foreach(checks, i, check)
	{
		if (!is_check(check))
			return -1;
		changes += !field_true(check, "fine");
	}
	return changes;
}

enum cli_exit cmd_doctor(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	enum cli_exit e = session_open(arguments, &client);

	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "Doctor", json_object(), &reply);
	if (e != CLI_DONE)
		return e;
	json_t *checks = field_array(reply.parameters, "checks");
	int changes = count_changes(checks);
	if (changes < 0)
		return control_nonsense("Doctor");
	if (command_json(arguments)) {
		e = output_json(checks);
	} else {
		print_checks(checks, true);
		print_checks(checks, false);
		printf("%s%d to change, %d fine\n", changes > 0 ? "\n" : "", changes,
				(int)json_array_size(checks) - changes);
	}
	return e == CLI_DONE && changes > 0 ? CLI_ERROR : e;
}
