/* From what a caller names to the row it stands for, or to the answer that there is none. */
#include <errno.h>

#include "base/error.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/look_alikes.h"
#include "daemon/keeper/vault/accounts.h"

int control_find_recording(
		struct control_call *call, const char *parameter, struct recording_row *ret_row)
{
	const char *text = control_text(call, parameter);
	uint8_t ulid[ULID_BYTES];

	if (ulid_parse(text, ulid) < 0)
		return control_answer_invalid(
				call, parameter, "a recording id has 26 letters and digits");
	int r = catalog_recording_by_ulid(call->vault->db, ulid, ret_row);
	if (r == -RE_ALTERED)
		return control_answer_damaged(call, text, error_text(r));
	return r == -ENOENT ? control_answer_not_found(call, "recording", text) : r;
}

/* It may be spelt in another way. */
static int account_answer_not_found(struct control_call *call, const char *text)
{
	json_t *look_alikes;
	int r = look_alikes_of_typed(call->vault, text, &look_alikes);

	if (r < 0)
		return r;
	return control_answer_no_account(call, text, look_alikes);
}

int control_find_account(
		struct control_call *call, const char *parameter, struct account_row *ret_row)
{
	const char *text = control_text(call, parameter);
	int r = accounts_find_typed(call->vault->root.tree, text, ret_row);

	return r == -ENOENT ? account_answer_not_found(call, text) : r;
}

int control_find_not_gone(struct control_call *call, const struct recording_row *row)
{
	char id[ULID_TEXT_CHARS + 1];

	if (row->state != RECORDING_DESTROYED && row->state != RECORDING_EXPIRED)
		return 0;
	ulid_format(row->ulid, id);
	return control_answer_gone(call, "recording", id, row->destroyed_epoch);
}
