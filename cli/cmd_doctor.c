#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"

/* What is to be done comes last, where somebody looks who reads no further. */
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

/* How many need a change; -1 for nonsense. An empty answer is no clean bill of health. */
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

static enum cli_exit run_doctor(const struct arguments *arguments)
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

const struct command command_doctor = {
		.name = "doctor",
		.synopsis = "[--json]",
		.summary = "is everything set up as it should be, and what is to change?",
		.help = "Looks at each spool (owner and mode, access, filesystem and leases, watches, free "
			"space,\nclass and profile) and at the keeper (root and assurance, what on this "
			"machine could keep\nkeys, TPM, free space, clock, roles, what waits), and prints a "
			"line for each: what is\nfine, then what is to change, where, and what to do. It "
			"changes nothing.\n\nExit status 0 if everything is fine, 1 if something is to "
			"change.\n",
		.examples = "  recsealctl doctor\n"
			    "  recsealctl doctor --json | jq -r '.[] | select(.fine | not) | .advice'\n",
		.run = run_doctor,
};
