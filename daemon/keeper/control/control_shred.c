/* PlanShred and Shred: the same checks, and then a forecast or the deed. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/look_alikes.h"
#include "daemon/keeper/control/shred_look.h"
#include "daemon/keeper/control/view.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/gate.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"

#define SENTENCE_BYTES 512

/* What a shred would destroy. */
struct target {
	struct erasure_item item;
	char *account;                       /* printable name, NULL: not readable */
	char recording[ULID_TEXT_CHARS + 1]; /* "": the whole account */
	int64_t recordings, plain_bytes;
	int64_t oldest_us, newest_us;         /* 0: nothing there */
	json_t *look_alikes;                  /* of an account: what is said of them; else NULL */
	struct erasure_item parts[PARTS_MAX]; /* which go with a recording */
	size_t n_parts;
};

static void target_clear(struct target *target)
{
	free(target->account);
	json_decref(target->look_alikes);
}

static int target_set_account_row(
		struct control_call *call, const struct account_row *row, struct target *target)
{
	struct db *db = call->vault->db;
	struct tally tally;

	if (row->state == ACCOUNT_DELETED)
		return control_answer_gone(
				call, "account", control_text(call, "account"), row->deleted_epoch);
	int r = catalog_tally_get(db, row->id, &tally);
	if (r < 0)
		return r;
	target->item = (struct erasure_item){
			.kind = ERASE_ACCOUNT, .cause = CAUSE_SHRED, .account = row->id};
	struct share live = catalog_tally_live(&tally);
	target->recordings = live.count;
	target->plain_bytes = live.plain_bytes;
	r = look_alikes_of(call->vault, row, &target->look_alikes);
	return r < 0 ? r : view_account_name(call->vault, row, &target->account);
}

static int target_set_account(struct control_call *call, struct target *target)
{
	struct account_row row;
	int r = control_find_account(call, "account", &row);

	if (r != 0)
		return r;
	r = target_set_account_row(call, &row, target);
	catalog_account_clear(&row);
	return r;
}

static int target_set_recording_row(
		struct control_call *call, const struct recording_row *row, struct target *target)
{
	struct account_row account;
	int r = control_find_not_gone(call, row);

	if (r != 0)
		return r;
	target->item = (struct erasure_item){.kind = ERASE_RECORDING,
			.cause = CAUSE_SHRED,
			.account = row->account,
			.group = row->group,
			.recording = row->id};
	target->recordings = 1;
	target->plain_bytes = row->plain_bytes;
	target->oldest_us = target->newest_us = row->recorded_us;
	ulid_format(row->ulid, target->recording);
	r = catalog_account_by_id(call->vault->db, row->account, &account);
	if (r < 0)
		return r;
	r = view_account_name(call->vault, &account, &target->account);
	catalog_account_clear(&account);
	return r;
}

static int target_set_recording(struct control_call *call, struct target *target)
{
	struct recording_row row;
	int r = control_find_recording(call, "recording", &row);

	if (r != 0)
		return r;
	r = target_set_recording_row(call, &row, target);
	catalog_recording_clear(&row);
	return r;
}

/* 0, CONTROL_ANSWERED or negative; the target is cleared by the caller in any case. */
static int target_find(struct control_call *call, struct target *target)
{
	bool account = control_text(call, "account"), recording = control_text(call, "recording");
	struct reason reason = {""};

	if (account == recording)
		return control_answer_invalid(
				call, "account", "give either an account or a recording");
	int r = account ? target_set_account(call, target) : target_set_recording(call, target);
	/* Asked for the plan too, so that it does not promise what the shred refuses. */
	if (r == 0)
		r = gate_check_item(call->vault->db, &target->item, &reason);
	return r == -RE_REFUSED ? control_answer_refused(call, "%s", reason_text(&reason, r)) : r;
}

/* What can be said of the erasure that epoch completes. */
static json_t *shred_assurance(struct control_call *call, uint64_t epoch)
{
	const char *assurance = call->vault->root.copies->assurance;
	char sentence[SENTENCE_BYTES];

	root_assurance_sentence(assurance, epoch, sentence, sizeof(sentence));
	return json_pack("{s:s, s:s, s:o}", "assurance", assurance, "assurance_sentence", sentence,
			"not_overwritten", control_root_given_up(call->vault));
}

/* Steals part; {member: part, what is said of look-alikes, and what the assurance says}. */
static int shred_answer(struct control_call *call, const char *member, const struct target *target,
		json_t *part, uint64_t epoch)
{
	json_t *assurance = shred_assurance(call, epoch);

	if (json_object_update(part, assurance) < 0 ||
			(target->look_alikes &&
					json_object_update(part, target->look_alikes) < 0)) {
		json_decref(part);
		part = NULL;
	}
	json_decref(assurance);
	return control_answer_reply(call, json_pack("{s:o}", member, part), NULL);
}

/* Looks around the target (shred_look.h), and then lets answer() answer. */
static int target_look(struct control_call *call, shred_look_answer *answer)
{
	struct account_row account;
	struct recording_row recording;
	bool one = control_text(call, "recording");
	int r = one ? control_find_recording(call, "recording", &recording)
		    : control_find_account(call, "account", &account);

	if (r != 0)
		return r;
	if (one) {
		r = catalog_account_by_id(call->vault->db, recording.account, &account);
		if (r < 0) {
			catalog_recording_clear(&recording);
			return r;
		}
	}
	r = shred_look_start(call, &account, one ? &recording : NULL, answer);
	if (one)
		catalog_recording_clear(&recording);
	catalog_account_clear(&account);
	return r;
}

static bool call_takes_parts(const struct control_call *call)
{
	return json_is_true(json_object_get(call->parameters, "with_parts"));
}

/* One part, as it is now. Not one that was destroyed since it was found. */
static int target_add_part(
		struct control_call *call, const struct erasure_item *item, struct target *target)
{
	struct db *db = call->vault->db;
	struct reason reason = {""};
	uint8_t ulid[ULID_BYTES];
	struct recording_row row;
	int r = catalog_recording_ulid(db, item->recording, ulid);

	if (r == 0)
		r = catalog_recording_by_ulid(db, ulid, &row);
	if (r < 0)
		return r;
	bool live = recording_is_live(row.state);
	struct erasure_item part = *item;
	part.account = row.account;
	part.group = row.group;
	int64_t plain_bytes = row.plain_bytes;
	catalog_recording_clear(&row);
	if (!live)
		return 0;
	r = gate_check_item(db, &part, &reason);
	if (r == -RE_REFUSED)
		return control_answer_refused(call, "a part of it: %s", reason_text(&reason, r));
	target->parts[target->n_parts++] = part;
	target->recordings++;
	target->plain_bytes += plain_bytes;
	return r;
}

/* The target, and with it, if the caller wants that, the parts of it: they pass the gate, too, or
 * nothing is done at all. 0, CONTROL_ANSWERED or negative. */
static int target_gather(struct control_call *call, const struct shred_findings *findings,
		struct target *target)
{
	const struct shred_parts *parts = &findings->parts;
	int r = target_find(call, target);

	for (size_t i = 0; i < parts->n && call_takes_parts(call) && r == 0; i++)
		r = target_add_part(call, &parts->items[i], target);
	return r;
}

/* Steals part, adds what the findings say. */
static int shred_answer_all(struct control_call *call, const char *member,
		const struct target *target, json_t *part, const struct shred_findings *findings,
		uint64_t epoch)
{
	json_t *members = shred_look_members(call->vault, findings, call_takes_parts(call));

	if (json_object_update(part, members) < 0) {
		json_decref(part);
		part = NULL;
	}
	json_decref(members);
	return shred_answer(call, member, target, part, epoch);
}

static int plan_answer(struct control_call *call, const struct shred_findings *findings)
{
	_cleanup_(target_clear) struct target target = {0};
	int r = target_gather(call, findings, &target);

	if (r != 0)
		return r;
	if (target.item.kind == ERASE_ACCOUNT && target.recordings > 0) {
		target.oldest_us = findings->span.oldest_us;
		target.newest_us = findings->span.newest_us;
	}
	return shred_answer_all(call, "plan", &target,
			json_pack("{s:s*, s:s*, s:I, s:I, s:o*, s:o*}", "account", target.account,
					"recording", *target.recording ? target.recording : NULL,
					"recordings", (json_int_t)target.recordings,
					"plaintext_bytes", (json_int_t)target.plain_bytes,
					"oldest_at", view_time(target.oldest_us), "newest_at",
					view_time(target.newest_us)),
			findings, vault_epoch(call->vault) + 1);
}

int control_shred_plan(struct control_call *call)
{
	_cleanup_(target_clear) struct target target = {0};
	/* What is refused is refused at once. */
	int r = target_find(call, &target);

	return r != 0 ? r : target_look(call, plan_answer);
}

static int shred_fail(struct control_call *call, const struct target *target, int r,
		const struct reason *reason)
{
	if (r == -RE_REFUSED)
		return control_answer_refused(call, "%s", reason_text(reason, r));
	if (r == -RE_UNKNOWN)
		return control_answer_not_known(call);
	if (r == -RE_AWAY)
		return control_answer_pending(call, reason_text(reason, r));
	/* The order is noted, so it will be carried out: not a failure, but not done either. */
	if (r != -RE_NOT_ERASED && erasure_table_is_noted(call->vault->db, &target->item) > 0)
		return control_answer_pending(call, reason_text(reason, r));
	return control_answer_problem(call, reason_text(reason, r));
}

/* The target and its parts, as one order. */
static int target_erase(struct control_call *call, const struct target *target,
		struct erasure_result *ret_result, struct reason *reason)
{
	struct erasure_item items[1 + PARTS_MAX];
	size_t n = 1 + target->n_parts;

	items[0] = target->item;
	memcpy(items + 1, target->parts, target->n_parts * sizeof(*items));
	/* Noted with the order: it may be completed after a restart. */
	for (size_t i = 0; i < n; i++) {
		items[i].uid = call->uid;
		items[i].reason = control_text(call, "reason");
	}
	return erasure_run(&call->vault->eraser, items, n, ret_result, reason);
}

static int shred_carry_out(struct control_call *call, const struct shred_findings *findings)
{
	_cleanup_(target_clear) struct target target = {0};
	struct erasure_result result;
	struct reason reason = {""};
	int r = target_gather(call, findings, &target);

	if (r != 0)
		return r;
	r = target_erase(call, &target, &result, &reason);
	if (r < 0)
		return shred_fail(call, &target, r, &reason);
	return shred_answer_all(call, "result", &target,
			json_pack("{s:I, s:I, s:I, s:I, s:o}", "recordings",
					(json_int_t)result.recordings, "plaintext_bytes",
					(json_int_t)result.plain_bytes, "epoch_before",
					(json_int_t)result.epoch_before, "epoch_after",
					(json_int_t)result.epoch_after, "destroyed_at",
					view_time(result.destroyed_us)),
			findings, result.epoch_after);
}

int control_shred_run(struct control_call *call)
{
	_cleanup_(target_clear) struct target target = {0};
	int r = target_find(call, &target);

	return r != 0 ? r : target_look(call, shred_carry_out);
}
