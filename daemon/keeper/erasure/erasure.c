#include "daemon/keeper/erasure/erasure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/erasure/erasure_announce.h"
#include "daemon/keeper/erasure/erasure_damage.h"
#include "daemon/keeper/erasure/erasure_notes.h"
#include "daemon/keeper/erasure/erasure_room.h"
#include "daemon/keeper/erasure/reminder.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "storage/tables/former_node.h"
#include "storage/tables/node_table.h"

/* What an epoch is made for; either part may be missing. */
struct erasure_order {
	const struct erasure_item *items;
	size_t n;
	int (*prepare)(void *context);
	void *context;
	bool epoch_only; /* without an epoch there is nothing to note */
};

/* Step 1. */

/* Notes the items of an order. An expiry that the gate refuses is left out: nobody ordered it, so
 * nobody waits for an answer. */
static int order_note(struct eraser *eraser, const struct erasure_order *order, size_t *refused,
		struct reason *reason)
{
	const struct root *root = eraser->root;
	/* In this transaction, so that its changes are never without the epoch's rows. */
	int r = order->prepare ? order->prepare(order->context) : 0;

	for (size_t i = 0; i < order->n && r == 0; i++) {
		r = erasure_notes_add(&root->audit, &order->items[i], root_epoch(root), reason);
		if (r == -RE_REFUSED && order->items[i].cause == CAUSE_EXPIRY) {
			(*refused)++;
			r = 0;
		}
	}
	return r;
}

/* A start for want of room may have left a void stage. */
static int stage_clear(struct db *db)
{
	int any = node_table_any_staged(db);

	return any <= 0 ? any : node_table_discard_staged(db);
}

/* One transaction: notes the new items, and stages the tree without all that is noted. */
static int erasure_stage_once(struct eraser *eraser, const struct erasure_order *order, bool all,
		struct victims *victims, struct root_record **ret_next, size_t *refused,
		struct reason *reason)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	struct db *db = eraser->root->db;
	struct root_record *next = NULL;
	int r = db_transaction_begin_for(&transaction, db, DB_ROOM_ERASING);

	*refused = 0;
	/* Notes and stage are one transaction: a crash leaves both or neither. */
	if (r == 0)
		r = stage_clear(db);
	if (r == 0)
		r = order_note(eraser, order, refused, reason);
	/* Older notes come along: one epoch carries out everything that is pending. */
	if (r == 0)
		r = erasure_notes_collect(db, victims, reason);
	if (r == 0)
		r = erasure_notes_shut_out(
				eraser->root->db, root_epoch(eraser->root), all, victims);
	if (r == 0)
		r = epoch_stage(eraser->root, victims->paths, victims->count, &next);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r < 0) {
		secret_free(next);
		return r;
	}
	*ret_next = next;
	return 0;
}

static int erasure_stage(struct eraser *eraser, const struct erasure_order *order,
		struct victims *victims, struct root_record **ret_next, size_t *refused,
		struct reason *reason)
{
	int r = erasure_stage_once(eraser, order, true, victims, ret_next, refused, reason);

	if (r != -RE_CORRUPT || !victims->rekeys_all)
		return r;
	erasure_damage_explain(eraser->root, reason);
	notices_keep_problem(eraser->root->notices,
			"what is sealed from now on can still be opened with a copy of the root "
			"that was given up: %s",
			reason_text(reason, r));
	reason_clear(reason);
	erasure_notes_free(victims);
	return erasure_stage_once(eraser, order, false, victims, ret_next, refused, reason);
}

/* The slots were not changed: the stage is void. The notes stay, and the erasure is tried again
 * (retention.h). */
static int erasure_unstage(struct eraser *eraser)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, eraser->root->db, DB_ROOM_ERASING);

	/* Staged rows that stayed would be mixed with those of the next epoch. */
	if (r == 0)
		r = epoch_discard(eraser->root);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

/* Only notes the items: a copy of the root is away, and until it is back nothing more can be
 * done. */
static int order_note_only(
		struct eraser *eraser, const struct erasure_order *order, struct reason *reason)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	size_t refused = 0;

	if (order->epoch_only || (order->n == 0 && !order->prepare))
		return 0;
	int r = db_transaction_begin_for(&transaction, eraser->root->db, DB_ROOM_ERASING);
	if (r == 0)
		r = order_note(eraser, order, &refused, reason);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

/* Step 5, and the notices about it. */

/* One transaction; then the tree goes on with the new root. */
static int erasure_finish_epoch(struct eraser *eraser, const struct root_record *next,
		struct erasure_result *result)
{
	static const struct audit_actor keeper = {0, NULL};
	struct root *root = eraser->root;
	struct erasure_done *done = NULL;
	size_t n_done = 0;
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	result->epoch_before = next->epoch - 1;
	result->epoch_after = next->epoch;
	result->destroyed_us = clock_now_us(&root->clock);
	/* The rows of the new root, the records and the tombstones become valid together. */
	if (r == 0)
		r = epoch_apply(root, next);
	/* Before erasure_table_finish(), which clears the notes. */
	if (r == 0)
		r = erasure_notes_record_done(&root->audit, next->epoch, &done, &n_done);
	if (r == 0)
		r = erasure_table_finish(root->db, result->destroyed_us, next->epoch,
				&result->recordings, &result->plain_bytes);
	if (r == 0)
		r = former_node_finish(root->db);
	if (r == 0)
		r = audit_log_append(&root->audit, &keeper,
				result->only_moves ? "replaced" : "destroyed", "epoch",
				next->epoch);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	/* Only after the commit: the old root may be forgotten once the rows do not need it. */
	if (r == 0)
		r = epoch_enter(root, next);
	/* Last: nobody may read "destroyed" before a restart would say the same. */
	if (r == 0)
		erasure_announce_done(eraser->root, result, done, n_done);
	free(done);
	return r;
}

/* The proof: no destroyed key may open with the new root, neither through the staged rows nor
 * through the old ones, which are still in the tables and which an old copy of the database has. */
static int erasure_prove(const struct root *root, const struct root_record *next,
		const struct victims *victims)
{
	int r = keytree_try(root->db, next->key, victims->paths, victims->count);

	if (r == -ENOENT)
		return 0;
	return r == 0 ? -RE_NOT_ERASED : r;
}

static void erasure_alarm(const struct root *root, int proof)
{
	struct event_fields fields = {.epoch = (int64_t)root_epoch(root)};
	const char *what = proof == -RE_NOT_ERASED
					   ? "a destroyed key could still be opened"
					   : "whether keys were destroyed cannot be checked";

	notices_keep_problem(root->notices, "%s after epoch %" PRIu64 ": %s", what,
			root_epoch(root), error_text(proof));
	notices_tell(root->notices, LOG_ALERT, EVENT_KEY_TROUBLE, &fields,
			"%s: do not rely on this erasure", what);
}

/* From the erasure point on: the proof, and step 5. */
static int erasure_complete(struct eraser *eraser, const struct root_record *next,
		const struct victims *victims, struct erasure_result *result)
{
	/* What memory still links to the victims goes first, before anybody is told. */
	predecessors_forget(eraser->predecessors, victims->paths, victims->count);
	key_loans_recall(eraser->loans, victims->paths, victims->count);
	int proof = erasure_prove(eraser->root, next, victims);

	result->only_moves = !victims->destroys;
	int r = erasure_finish_epoch(eraser, next, result);

	if (r < 0) {
		/* The old root is gone and the rows do not know it yet: a restart rolls forward. */
		eraser->root->stuck = true;
		return -RE_UNKNOWN;
	}
	/* After step 5: the erasure point is passed, and the alarm does not undo it. */
	if (proof < 0)
		erasure_alarm(eraser->root, proof);
	return proof;
}

/* The new root is written, but an old one may be left. The tree goes on without the keys to be
 * erased, and the notes stay, so that a later epoch makes the erasure final. */
static int erasure_enter(struct eraser *eraser, const struct root_record *next)
{
	struct root *root = eraser->root;
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	/* The notes are left in their table, so erasure_retry() goes on with them. */
	if (r == 0)
		r = epoch_apply(root, next);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r < 0) {
		/* The slots hold the new root, the rows belong to the old one: recovery sorts it
		 * out. */
		root->stuck = true;
		return r;
	}
	return epoch_enter(root, next);
}

static int erasure_pend(struct eraser *eraser, int r, struct reason *reason)
{
	const struct notices *notices = eraser->root->notices;

	notices_keep_problem(eraser->root->notices, "%s", reason_text(reason, r));
	notices_tell(notices, LOG_ERR, EVENT_SHRED_PENDING, NULL,
			"the erasure cannot be carried out yet: %s; it is pending",
			reason_text(reason, r));
	return r;
}

/* Why the copies could not be written, in the words of the medium where it has some. */
static const char *erasure_copies_problem(const struct root *root, int r)
{
	const struct root_member *away = root_set_away(root->copies);

	return away ? away->why_away.text : root_set_reason(root->copies, 0, r);
}

static int erasure_not_known(struct reason *reason)
{
	return reason_set(reason, -RE_UNKNOWN, "%s", error_text(-RE_UNKNOWN));
}

/* The old root is still valid, unless the keeper is stuck now; the order stays noted. */
static int erasure_give_up_stage(struct eraser *eraser, int r, struct reason *reason)
{
	struct root *root = eraser->root;

	erasure_pend(eraser, r, reason);
	/* With a stage that cannot be discarded the next epoch would start from wrong rows. */
	if (!root->stuck && erasure_unstage(eraser) < 0)
		root->stuck = true;
	return root_is_stuck(root) ? erasure_not_known(reason) : r;
}

/* Steps 2 to 5 on what is staged, which took this much of the log. */
static int erasure_carry_out(struct eraser *eraser, const struct root_record *next,
		const struct victims *victims, uint64_t staged, struct erasure_result *result,
		struct reason *reason)
{
	struct root *root = eraser->root;
	int r = erasure_room_take_rest(root, staged, reason);

	if (r < 0)
		return erasure_give_up_stage(eraser, r, reason);
	/* From here on the slots change: without room for step 5 it must not begin. */
	r = epoch_write(root, next, &root->stuck);
	if (r == 0)
		return erasure_complete(eraser, next, victims, result);
	if (r == EPOCH_ENTERED) {
		r = erasure_enter(eraser, next);
		if (r < 0)
			return erasure_not_known(reason);
		reason_set(reason, 0, "an old root could not be overwritten");
		return erasure_pend(eraser, -EIO, reason);
	}
	reason_set(reason, 0, "%s", erasure_copies_problem(root, r));
	return erasure_give_up_stage(eraser, r, reason);
}

/* Everything that the erasure needs and that may not be there. */
static int erasure_prepare(
		const struct eraser *eraser, const struct erasure_order *order, struct reason *why)
{
	struct root *root = eraser->root;
	size_t noted = 0;
	int r = mirrors_ready(root, why);

	if (r == 0)
		r = erasure_notes_count(root->db, &noted);
	return r < 0 ? r : erasure_room_take(root, noted + order->n, why);
}

/* What expires is due until it is erased; nobody has to note that. */
static bool order_is_expiry(const struct erasure_order *order)
{
	return order->n > 0 && order->items[0].cause == CAUSE_EXPIRY;
}

/* An order that waits is not to be forgotten with an older database. */
static void order_remind(struct root *root, const struct erasure_order *order)
{
	int r = reminder_keep_orders(root, order->items, order->n);

	if (r < 0)
		notices_keep_problem(root->notices,
				"the object folder cannot keep a reminder of an order that is "
				"pending: %s",
				error_text(r));
}

/* Now it cannot be carried out: why. The order is noted, and carried out later. */
static int erasure_put_off(struct eraser *eraser, const struct erasure_order *order, int r,
		const struct reason *why, struct reason *reason)
{
	const struct notices *notices = eraser->root->notices;
	bool note = r == -RE_AWAY || !order_is_expiry(order);
	int noted = note ? order_note_only(eraser, order, reason) : 0;

	if (noted == -RE_CORRUPT)
		erasure_damage_explain(eraser->root, reason);
	if (noted < 0) {
		notices_keep_problem(eraser->root->notices, "%s", reason_text(reason, noted));
		return noted;
	}
	if (note)
		order_remind(eraser->root, order);
	reason_set(reason, r, "%s", reason_text(why, r));
	notices_keep_problem(eraser->root->notices, "%s", reason->text);
	if (r != -RE_AWAY && order->n > 0 && note)
		notices_tell(notices, LOG_ERR, EVENT_SHRED_PENDING, NULL,
				"the erasure cannot be carried out yet: %s; it is pending",
				reason->text);
	return r;
}

static int erasure_run_order(struct eraser *eraser, const struct erasure_order *order,
		struct erasure_result *ret_result, struct reason *reason)
{
	_cleanup_secret_ struct root_record *next = NULL;
	struct erasure_result result = {0};
	struct victims victims = {0};
	struct reason why = {""};
	struct root *root = eraser->root;

	if (root_is_stuck(root))
		return reason_set(reason, -RE_BUSY, "the keeper is about to restart: try again");
	int r = erasure_prepare(eraser, order, &why);
	if (r == -RE_AWAY || r == -ENOSPC)
		return erasure_put_off(eraser, order, r, &why, reason);
	if (r < 0)
		return r;
	uint64_t used = db_room_used(root->db);
	/* Damage shows here, before any slot was written. */
	r = erasure_stage(eraser, order, &victims, &next, &result.refused, reason);
	uint64_t after = db_room_used(root->db);
	if (r == -RE_CORRUPT) {
		erasure_damage_explain(root, reason);
		notices_keep_problem(root->notices, "%s", reason_text(reason, r));
	}
	if (r == 0)
		/* The log may have started again meanwhile. */
		r = erasure_carry_out(eraser, next, &victims, after > used ? after - used : after,
				&result, reason);
	erasure_notes_free(&victims);
	if (r == 0)
		*ret_result = result;
	else if (!root_is_stuck(root))
		order_remind(root, order);
	return r;
}

int erasure_run(struct eraser *eraser, const struct erasure_item *items, size_t n,
		struct erasure_result *ret_result, struct reason *reason)
{
	const struct erasure_order order = {.items = items, .n = n};
	struct reason unasked = {""};

	return erasure_run_order(eraser, &order, ret_result, reason ? reason : &unasked);
}

int erasure_run_with(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct erasure_result *ret_result, struct reason *reason)
{
	const struct erasure_order order = {.prepare = prepare, .context = context};
	struct reason unasked = {""};

	return erasure_run_order(eraser, &order, ret_result, reason ? reason : &unasked);
}

int erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason)
{
	const struct erasure_order order = {
			.prepare = prepare, .context = context, .epoch_only = true};
	struct erasure_result result;
	struct reason unasked = {""};
	int r = erasure_run_order(eraser, &order, &result, reason ? reason : &unasked);

	return r == -RE_NOT_ERASED ? 0 : r; /* the epoch is made, and the alarm given */
}

/* 1 when places of the root changed in the present epoch. */
static int erasure_epoch_is_owed(const struct root *root)
{
	uint64_t changed = 0;
	int r = mirror_table_get_changed(root->db, &changed);

	return r < 0 ? r : changed == root_epoch(root);
}

int erasure_retry(struct eraser *eraser, struct reason *reason)
{
	struct erasure_result result;
	int any = erasure_notes_any(eraser->root->db);

	if (any == 0)
		any = erasure_epoch_is_owed(eraser->root);
	return any <= 0 ? any : erasure_run(eraser, NULL, 0, &result, reason);
}

static int erasure_roll_forward(
		struct eraser *eraser, const struct root_record *forward, struct reason *reason)
{
	struct erasure_result result = {0};
	struct victims victims = {0};

	/* A copy that is away may still hold the old root: not final without it. */
	if (root_set_away(eraser->root->copies))
		return erasure_enter(eraser, forward);
	/* The notes of before the crash say which keys the proof has to try. */
	int r = erasure_notes_collect(eraser->root->db, &victims, reason);
	if (r == 0)
		r = erasure_complete(eraser, forward, &victims, &result);
	else if (r == -RE_REFUSED) /* the gate's word on one of them; the others must be served */
		r = erasure_enter(eraser, forward);
	erasure_notes_free(&victims);
	return r == -RE_NOT_ERASED ? 0 : r; /* the alarm is given; the others must be served */
}

int erasure_recover(struct eraser *eraser, const struct root_record *forward, struct reason *reason)
{
	struct reason pending = {""};
	int r = forward ? erasure_roll_forward(eraser, forward, reason) : 0;

	/* An order may have been noted without any epoch: its note alone asks for one. */
	if (r == 0)
		r = reminder_restore(eraser->root);
	if (r == 0)
		r = erasure_notes_any(eraser->root->db); /* altered rows are no order */
	if (r <= 0)
		return r;
	r = erasure_retry(eraser, &pending);
	if (r == 0 || r == -RE_AWAY)
		(void)reminder_keep_all(eraser->root); /* what is owed is tried again */
	if (r < 0 && r != -RE_AWAY)                    /* which the mirrors tell about */
		notices_tell(eraser->root->notices, LOG_ERR, EVENT_SHRED_PENDING, NULL,
				"an erasure is pending and cannot be carried out yet: %s",
				reason_text(&pending, r));
	if (r < 0)
		notices_keep_problem(eraser->root->notices, "%s", reason_text(&pending, r));
	return root_is_stuck(eraser->root) ? r : 0;
}
