/* ShowAccount. */
#include "daemon/keeper/control/control_look.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"

static int account_answer(struct control_call *call, const struct recording_span *span)
{
	struct account_row row;
	json_t *view;
	int r = control_find_account(call, "account", &row);

	if (r != 0)
		return r;
	r = view_account(call->vault, &row, span, &view);
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
