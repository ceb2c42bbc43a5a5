/* ShowAccount and AllowAccount. */
#include <errno.h>
#include <syslog.h>

#include "base/error.h"
#include "daemon/keeper/control/control_look.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/look_alikes.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/vault/allow.h"

/* With the accounts that look alike, if there are any. */
static int account_view_all(struct vault *vault, const struct account_row *row,
		const struct recording_span *span, json_t **ret_view)
{
	json_t *view, *look_alikes;
	int r = view_account(vault, row, span, &view);

	if (r < 0)
		return r;
	r = look_alikes_of(vault, row, &look_alikes);
	if (r == 0) {
		bool any = json_array_size(json_object_get(look_alikes, "look_alikes")) > 0;
		r = any && json_object_update(view, look_alikes) < 0 ? -ENOMEM : 0;
		json_decref(look_alikes);
	}
	if (r < 0)
		json_decref(view);
	else
		*ret_view = view;
	return r;
}

static int account_answer(struct control_call *call, const struct recording_span *span)
{
	struct account_row row;
	json_t *view;
	int r = control_find_account(call, "account", &row);

	if (r != 0)
		return r;
	r = account_view_all(call->vault, &row, span, &view);
	catalog_account_clear(&row);
	return r < 0 ? r : control_answer_reply(call, json_pack("{s:o}", "account", view), NULL);
}

int control_accounts_show(struct control_call *call)
{
	struct account_row row;
	int r = control_find_account(call, "account", &row);

	if (r != 0)
		return r;
	int64_t account = row.id;
	catalog_account_clear(&row);
	return control_look_span(call, account, account_answer);
}

/* Why a name that is no tombstone's cannot be allowed again. */
static int allow_refuse_unknown(struct control_call *call)
{
	struct account_row row;
	int r = accounts_find_typed(call->vault->root.tree, control_text(call, "account"), &row);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0)
		catalog_account_clear(&row);
	return r == 0 ? control_answer_refused(call,
					"give the name: after a shred nobody can tell it from the "
					"handle")
		      : control_answer_refused(call,
					"no account with exactly this name was shredded; a new "
					"name needs no permission");
}

static int allow_check(struct control_call *call, const struct account_row *row)
{
	int noted = erasure_table_account_is_noted(call->vault->db, row->id);

	if (noted < 0)
		return noted;
	if (noted)
		return control_answer_refused(call,
				"the account is still being shredded; allow the name when that is "
				"done");
	if (row->state != ACCOUNT_DELETED)
		return control_answer_refused(call, "the account was not shredded");
	return 0;
}

static int allow_answer(struct control_call *call, const struct account_row *account,
		const struct account_row *tombstone)
{
	static const struct recording_span nothing = {0};
	json_t *view = NULL, *former = NULL;
	int r = account_view_all(call->vault, account, &nothing, &view);

	if (r == 0)
		r = view_account(call->vault, tombstone, &nothing, &former);
	if (r < 0) {
		json_decref(view);
		return r;
	}
	return control_answer_reply(
			call, json_pack("{s:o, s:o}", "account", view, "former", former), NULL);
}

static int allow_run(struct control_call *call, const struct allow_order *order)
{
	struct vault *vault = call->vault;
	char handle[ACCOUNT_HANDLE_CHARS + 1];
	struct account_row account;
	int r = allow_account(vault->root.tree, &vault->root.audit, order,
			vault_clock_told_us(&vault->clock), vault_epoch(vault), &account);

	if (r < 0)
		return r;
	account_handle_format(account.handle, handle);
	const struct event_fields fields = {.account = handle};
	notices_tell(&vault->notices, LOG_NOTICE, EVENT_PLAIN, &fields,
			"the name of a shredded account is allowed again by order of uid %u: it is "
			"the new account %s",
			(unsigned)call->uid, handle);
	r = allow_answer(call, &account, order->tombstone);
	catalog_account_clear(&account);
	return r;
}

int control_accounts_allow(struct control_call *call)
{
	uint8_t name[ACCOUNT_NAME_MAX];
	struct account_row row;
	ssize_t len = accounts_parse_name(control_text(call, "account"), name);
	int r = len > 0 ? accounts_find(call->vault->root.tree, name, (size_t)len, &row) : -ENOENT;

	if (r < 0)
		return r == -ENOENT ? allow_refuse_unknown(call) : r;
	const struct allow_order order = {
			&row, name, (size_t)len, {call->uid, control_text(call, "reason")}};
	r = allow_check(call, &row);
	if (r == 0)
		r = allow_run(call, &order);
	catalog_account_clear(&row);
	return r;
}
