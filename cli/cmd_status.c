/* recsealctl status: whether all is sealed, what waits, and what a shred is worth here. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"

static void format_wait(const json_t *object, const char *key, char ret_text[static OUTPUT_BYTES])
{
	double seconds;

	if (field_real(object, key, &seconds))
		output_wait(seconds, ret_text);
	else
		snprintf(ret_text, OUTPUT_BYTES, "-");
}

static void print_vault(const json_t *status)
{
	_cleanup_free_ char *recordings = describe_counts(field_object(status, "recordings"));
	_cleanup_free_ char *accounts = describe_counts(field_object(status, "accounts"));
	const char *assurance = field_text(status, "assurance");
	const char *sentence = field_text(status, "assurance_sentence");

	output_fact(stdout, "vault", field_text(status, "vault"));
	output_fact(stdout, "keeper", field_text(status, "version"));
	output_factf(stdout, "assurance", "%s: %s", assurance ? assurance : "unknown",
			sentence ? sentence : "the keeper does not say");
	if (json_is_integer(json_object_get(status, "root_writes")))
		output_factf(stdout, "TPM writes", "%" JSON_INTEGER_FORMAT " so far",
				json_integer_value(json_object_get(status, "root_writes")));
	output_factf(stdout, "epoch", "%lld", (long long)field_int(status, "epoch", 0));
	output_fact(stdout, "recordings", recordings);
	output_fact(stdout, "accounts", accounts);
	output_fact(stdout, "clock", field_text(field_object(status, "clock"), "state"));
}

static void print_intake(const json_t *status)
{
	char heard[OUTPUT_BYTES];

	format_wait(status, "intake_heard_s", heard);
	if (field_true(status, "intake_connected"))
		output_factf(stdout, "intake", "connected, last heard %s ago", heard);
	else
		output_fact(stdout, "intake",
				"NOT CONNECTED: nothing is being sealed; is recseald running?");
}

static void print_sealing(const json_t *status)
{
	const json_t *spool = field_object(status, "spool");
	const json_t *exposure = field_object(status, "exposure_s");
	char oldest[OUTPUT_BYTES], p50[OUTPUT_BYTES], p99[OUTPUT_BYTES], bytes[OUTPUT_BYTES];

	format_wait(spool, "oldest_unsealed_s", oldest);
	format_wait(exposure, "p50", p50);
	format_wait(exposure, "p99", p99);
	output_bytes(field_int(status, "object_free_bytes", 0), bytes);
	print_intake(status);
	output_factf(stdout, "waiting", "%lld to be sealed (oldest %s), %lld refused",
			(long long)field_int(spool, "waiting", 0), oldest,
			(long long)field_int(spool, "refused", 0));
	output_factf(stdout, "exposure", "p50 %s, p99 %s (plaintext after a recording ended)", p50,
			p99);
	output_factf(stdout, "free space", "%s for sealed objects", bytes);
}

static int add_spool_row(struct table *table, const json_t *spool)
{
	char waiting[OUTPUT_BYTES], refused[OUTPUT_BYTES], oldest[OUTPUT_BYTES],
			looked[OUTPUT_BYTES];

	snprintf(waiting, sizeof(waiting), "%lld", (long long)field_int(spool, "waiting", 0));
	snprintf(refused, sizeof(refused), "%lld", (long long)field_int(spool, "refused", 0));
	format_wait(spool, "oldest_unsealed_s", oldest);
	format_wait(spool, "looked_s", looked);
	const char *const cells[] = {field_text(spool, "name"), waiting, refused, oldest, looked,
			field_text(spool, "path"), field_text(spool, "last_error")};
	return table_row(table, cells);
}

static enum cli_exit print_spools(json_t *spools)
{
	static const struct table_column columns[] = {{"SPOOL", false}, {"WAITING", true},
			{"REFUSED", true}, {"OLDEST", true}, {"LOOKED", true}, {"PATH", false},
			{"LAST ERROR", false}};
	struct table *table = table_new(columns, ELEMENTSOF(columns));
	int r = table ? 0 : -1;
	json_t *spool;
	size_t i;

	json_array_foreach(spools, i, spool)
	{
		if (r == 0)
			r = add_spool_row(table, spool);
	}
	if (r == 0 && json_array_size(spools) > 0) {
		putchar('\n');
		table_flush(table, stdout);
	}
	table_free(table);
	return r < 0 ? output_oom() : CLI_DONE;
}

static void print_warnings(const json_t *status)
{
	json_t *warnings = field_array(status, "warnings"), *warning;
	json_t *host = field_array(status, "host_warnings");
	const char *error = field_text(status, "last_error");
	size_t i;

	if (json_array_size(warnings) + json_array_size(host) > 0 || error)
		putchar('\n');
	json_array_foreach(warnings, i, warning)
			output_fact(stdout, "warning", json_string_value(warning));
	json_array_foreach(host, i, warning)
			output_fact(stdout, "this machine", json_string_value(warning));
	output_fact(stdout, "last error", error);
}

enum cli_exit cmd_status(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	enum cli_exit e = session_open(arguments, &client);

	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "Status", json_object(), &reply);
	if (e != CLI_DONE)
		return e;
	const json_t *status = field_object(reply.parameters, "status");
	if (!status)
		return control_nonsense("Status");
	if (command_json(arguments))
		return output_json(status);
	print_vault(status);
	print_sealing(status);
	e = print_spools(field_array(status, "spools"));
	print_warnings(status);
	return e;
}
