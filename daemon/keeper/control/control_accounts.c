/* ShowAccount. */
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"

int control_accounts_show(struct control_call *call)
{
	struct account_row row;
	json_t *view;
	int r = control_find_account(call, "account", &row);

	if (r != 0)
		return r;
	r = view_account(call->vault, &row, &view);
	catalog_account_clear(&row);
	return r < 0 ? r : control_answer_reply(call, json_pack("{s:o}", "account", view), NULL);
}
