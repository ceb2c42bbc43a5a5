/* recsealctl list: the recordings, page by page as the keeper sends them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/field.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"

static const struct table_column recording_columns[] = {{"RECORDING", false}, {"ACCOUNT", false},
		{"STATE", false}, {"CONDITION", false}, {"RECORDED", false}, {"LENGTH", true},
		{"SIZE", true}, {"EXPIRES", false}};

struct listing {
	struct table *table; /* NULL: JSON */
	struct output_array array;
	bool any;
};

static int add_recording_row(struct listing *listing, const json_t *recording)
{
	char length[OUTPUT_BYTES] = "-", bytes[OUTPUT_BYTES];
	const char *account = field_text(recording, "account");
	double duration_s;

	if (field_real(recording, "duration_s", &duration_s))
		output_length(duration_s, length);
	output_bytes(field_int(recording, "plaintext_bytes", 0), bytes);
	const char *const cells[] = {field_text(recording, "id"),
			account ? account : field_text(recording, "account_handle"),
			field_text(recording, "state"), field_text(recording, "condition"),
			field_text(recording, "recorded_at"), length, bytes,
			field_text(recording, "expires_at")};
	return table_row(listing->table, cells);
}

static int print_recording(struct listing *listing, const json_t *recording)
{
	listing->any = true;
	if (listing->table)
		return add_recording_row(listing, recording);
	output_array_add(&listing->array, recording);
	return 0;
}

static int print_recording_page(void *context, const json_t *parameters)
{
	struct listing *listing = context;
	json_t *recordings = field_array(parameters, "recordings"), *recording;
	size_t i;

	if (!recordings) {
		control_nonsense("ListRecordings");
		return -ECANCELED;
	}
	json_array_foreach(recordings, i, recording)
	{
		int r = print_recording(listing, recording);
		if (r < 0)
			return r;
	}
	if (listing->table)
		table_flush(listing->table, stdout);
	/* A full disk or a closed pipe: stop, and let output_finish() print the error. */
	return ferror(stdout) ? -ECANCELED : 0;
}

/* The parameters of ListRecordings; filters that were not given are left out. */
static enum cli_exit make_filter(const struct options *options, json_t **ret_parameters)
{
	_cleanup_free_ char *since = NULL, *until = NULL;
	const char *account = options->value[OPTION_ACCOUNT];
	const char *state = options->value[OPTION_STATE];
	enum cli_exit e = options_time(options, OPTION_SINCE, &since);

	if (e == CLI_DONE)
		e = options_time(options, OPTION_UNTIL, &until);
	if (e != CLI_DONE)
		return e;
	if (account && !command_utf8("account", account))
		return CLI_USAGE;
	*ret_parameters = json_pack("{s:s*, s:s*, s:s*, s:s*}", "account", account, "state", state,
			"since", since, "until", until);
	return *ret_parameters ? CLI_DONE : output_oom();
}

static enum cli_exit print_list(
		struct varlink_client *client, json_t *filter, struct listing *listing)
{
	enum cli_exit e = control_call_more(client, CONTROL_INTERFACE "ListRecordings", filter,
			print_recording_page, listing);

	if (e != CLI_DONE)
		return e;
	if (!listing->table)
		output_array_end(&listing->array);
	else if (!listing->any)
		puts("No recordings.");
	return CLI_DONE;
}

enum cli_exit cmd_list(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	struct listing listing = {0};
	json_t *filter = NULL;
	enum cli_exit e = make_filter(arguments->options, &filter);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e == CLI_DONE && !command_json(arguments)) {
		listing.table = table_new(recording_columns, ELEMENTSOF(recording_columns));
		e = listing.table ? CLI_DONE : output_oom();
	}
	if (e == CLI_DONE)
		e = print_list(client, TAKE_PTR(filter), &listing);
	json_decref(filter);
	table_free(listing.table);
	return e;
}
