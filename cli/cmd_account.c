/* recsealctl account: who has recordings in the vault; and a shredded name for somebody new. */
#include <errno.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/field.h"
#include "cli/look_alikes.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/table.h"

static const struct table_column account_columns[] = {{"ACCOUNT", false}, {"HANDLE", false},
		{"STATE", false}, {"CREATED", false}, {"SIZE", true}, {"RECORDINGS", false}};

struct listing {
	struct table *table; /* NULL: JSON */
	struct output_array array;
	bool any;
};

static int print_account(struct listing *listing, const json_t *account)
{
	listing->any = true;
	if (!listing->table) {
		output_array_add(&listing->array, account);
		return 0;
	}
	_cleanup_free_ char *counts = describe_counts(field_object(account, "recordings"));
	char bytes[OUTPUT_BYTES];
	output_bytes(field_int(account, "plaintext_bytes", 0), bytes);
	const char *const cells[] = {field_text(account, "name"), field_text(account, "handle"),
			field_text(account, "state"), field_text(account, "created_at"), bytes,
			counts};
	return table_row(listing->table, cells);
}

static int print_account_page(void *context, const json_t *parameters)
{
	struct listing *listing = context;
	json_t *accounts = field_array(parameters, "accounts"), *account;
	size_t i;

	if (!accounts) {
		control_nonsense("ListAccounts");
		return -ECANCELED;
	}
	json_array_foreach(accounts, i, account)
	{
		int r = print_account(listing, account);
		if (r < 0)
			return r;
	}
	if (listing->table)
		table_flush(listing->table, stdout);
	/* A full disk or a closed pipe: stop, and let output_finish() print the error. */
	return ferror(stdout) ? -ECANCELED : 0;
}

enum cli_exit cmd_account_list(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	struct listing listing = {0};
	enum cli_exit e = session_open(arguments, &client);

	if (e == CLI_DONE && !command_json(arguments)) {
		listing.table = table_new(account_columns, ELEMENTSOF(account_columns));
		e = listing.table ? CLI_DONE : output_oom();
	}
	if (e == CLI_DONE)
		e = control_call_more(client, CONTROL_INTERFACE "ListAccounts", json_object(),
				print_account_page, &listing);
	if (e == CLI_DONE && !listing.table)
		output_array_end(&listing.array);
	else if (e == CLI_DONE && !listing.any)
		puts("No accounts.");
	table_free(listing.table);
	return e;
}

enum cli_exit cmd_account_show(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *name = arguments->operands[0];
	enum cli_exit e = command_utf8("account", name) ? session_open(arguments, &client)
							: CLI_USAGE;

	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "ShowAccount",
				json_pack("{s:s}", "account", name), &reply);
	if (e != CLI_DONE)
		return e;
	const json_t *account = field_object(reply.parameters, "account");
	if (!account)
		return control_nonsense("ShowAccount");
	if (command_json(arguments))
		return output_json(account);
	describe_account(account, stdout);
	return CLI_DONE;
}

static void print_allowed(const json_t *account, const json_t *former)
{
	fputs("Allowed: ", stdout);
	output_text(stdout, field_text(account, "name"));
	fputs(" is the name of a new account, ", stdout);
	output_text(stdout, field_text(account, "handle"));
	fputs(".\n", stdout);
	output_fact(stdout, "former account", field_text(former, "handle"));
	output_fact(stdout, "shredded", field_text(former, "deleted_at"));
	look_alikes_print(account, stdout);
	fputs("Nothing of the former account comes back. A recording of its former holder that\n"
	      "arrives from now on (from an open call, a spool, a late upload) is sealed for the\n"
	      "new account, and its holder may hear it: look through the spools now. What\n"
	      "arrived before is in quarantine, and stays there.\n",
			stdout);
}

static enum cli_exit check_allowed(const struct arguments *arguments, const char **ret_reason)
{
	const char *reason = command_reason(arguments);

	if (!reason || !command_utf8("reason", reason) ||
			!command_utf8("account", arguments->operands[0]))
		return CLI_USAGE;
	*ret_reason = reason;
	return CLI_DONE;
}

enum cli_exit cmd_account_allow(const struct arguments *arguments)
{
	_cleanup_client_ struct varlink_client *client = NULL;
	_cleanup_reply_ struct varlink_reply reply = {0};
	const char *reason;
	enum cli_exit e = check_allowed(arguments, &reason);

	if (e == CLI_DONE)
		e = session_open(arguments, &client);
	if (e == CLI_DONE)
		e = control_call(client, CONTROL_INTERFACE "AllowAccount",
				json_pack("{s:s, s:s}", "account", arguments->operands[0], "reason",
						reason),
				&reply);
	if (e != CLI_DONE)
		return e;
	const json_t *account = field_object(reply.parameters, "account");
	const json_t *former = field_object(reply.parameters, "former");
	if (!field_text(account, "handle") || !field_text(former, "handle"))
		return control_nonsense("AllowAccount");
	if (command_json(arguments))
		return output_json(reply.parameters);
	print_allowed(account, former);
	return CLI_DONE;
}
