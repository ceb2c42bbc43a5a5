/* AssignRecording: out of quarantine, to the account it belongs to. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/erasure/assign.h"
#include "daemon/keeper/vault/accounts.h"

/* Whether recordings are sealed for this account. */
static int assign_check_account(struct control_call *call, const struct account_row *account)
{
	switch (account->state) {
	case ACCOUNT_OPEN:
	case ACCOUNT_RESTRICTED:
		break;
	case ACCOUNT_CLOSED:
		return control_answer_refused(call, "the account is closed");
	case ACCOUNT_DELETED:
		return control_answer_gone(call, "account", control_text(call, "account"),
				account->deleted_epoch);
	case ACCOUNT_QUARANTINE:
		return control_answer_refused(call, "the quarantine is not an account");
	}
	/* A recording given to it now would outlive the shred, or be destroyed by it unasked. */
	int noted = erasure_table_account_is_noted(call->vault->db, account->id);
	return noted > 0 ? control_answer_refused(call, "the account is being shredded") : noted;
}

static int assign_check_recording(struct control_call *call, const struct recording_row *row)
{
	int r = control_find_not_gone(call, row);

	if (r != 0)
		return r;
	if (row->state == RECORDING_PENDING)
		return control_answer_refused(call, "the recording is being shredded");
	if (row->account != call->vault->quarantine_account || row->state != RECORDING_QUARANTINED)
		return control_answer_refused(call,
				"the recording is not in quarantine: it belongs to an account "
				"already");
	return 0;
}

static int assign_answer(struct control_call *call, const uint8_t ulid[static ULID_BYTES],
		const struct erasure_result *result)
{
	struct view_account_cache cache = {0};
	struct recording_row row;
	json_t *view = NULL;
	int r = catalog_recording_by_ulid(call->vault->db, ulid, &row);

	if (r < 0)
		return r;
	r = view_recording(call->vault, &row, &cache, &view);
	view_account_cache_clear(&cache);
	catalog_recording_clear(&row);
	if (r < 0)
		return r;
	return control_answer_reply(call,
			json_pack("{s:o, s:I}", "recording", view, "epoch",
					(json_int_t)result->epoch_after),
			NULL);
}

static int assign_run(struct control_call *call, const struct recording_row *row,
		const struct account_row *account)
{
	const struct assign_order order = {row, account, {call->uid, control_text(call, "reason")}};
	struct erasure_result result;
	struct reason reason = {""};
	int r = assign_recording(&call->vault->eraser, &order, &result, &reason);

	if (r == 0)
		return assign_answer(call, row->ulid, &result);
	/* The recording has moved; only its former path still waits to be erased. */
	if (r != -RE_NOT_ERASED && assign_is_noted(call->vault->db, row) > 0)
		return control_answer_pending(call, reason_text(&reason, r));
	return control_answer_problem(call, reason_text(&reason, r));
}

static int assign_with_recording(struct control_call *call, const struct recording_row *row)
{
	struct account_row account;
	int r = assign_check_recording(call, row);

	if (r == 0)
		r = control_find_account(call, "account", &account);
	if (r != 0)
		return r;
	r = assign_check_account(call, &account);
	if (r == 0)
		r = assign_run(call, row, &account);
	catalog_account_clear(&account);
	return r;
}

int control_quarantine_assign(struct control_call *call)
{
	struct recording_row row;
	int r = control_find_recording(call, "recording", &row);

	if (r != 0)
		return r;
	r = assign_with_recording(call, &row);
	catalog_recording_clear(&row);
	return r;
}
