#include "daemon/keeper/erasure/erasure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/erasure/erasure_notes.h"
#include "daemon/keeper/erasure/erasure_room.h"
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

/* One transaction: notes the new items, and stages the tree without all that is noted. */
static int erasure_stage(struct eraser *eraser, const struct erasure_order *order,
		struct victims *victims, struct root_record **ret_next, size_t *refused,
		struct reason *reason)
{
	struct db *db = eraser->root->db;
	struct root_record *next = NULL;
	int r = db_begin(db);

	/* Notes and stage are one transaction: a crash leaves both or neither. */
	if (r == 0)
		r = order_note(eraser, order, refused, reason);
	/* Older notes come along: one epoch carries out everything that is pending. */
	if (r == 0)
		r = erasure_notes_collect(db, victims, reason);
	if (r == 0)
		r = epoch_stage(eraser->root, victims->paths, victims->count, &next);
	if (r == 0)
		r = db_commit(db);
	if (r < 0) {
		db_rollback(db);
		secret_free(next);
		return r;
	}
	*ret_next = next;
	return 0;
}

/* The slots were not changed: the stage is void. The notes stay, and the erasure is tried again
 * (retention.h). */
static int erasure_unstage(struct eraser *eraser)
{
	struct db *db = eraser->root->db;
	int r = db_begin(db);

	/* Staged rows that stayed would be mixed with those of the next epoch. */
	if (r == 0)
		r = epoch_discard(eraser->root);
	if (r == 0)
		r = db_commit(db);
	if (r < 0)
		db_rollback(db);
	return r;
}

/* Only notes the items: a copy of the root is away, and until it is back nothing more can be
 * done. */
static int order_note_only(
		struct eraser *eraser, const struct erasure_order *order, struct reason *reason)
{
	struct db *db = eraser->root->db;
	size_t refused = 0;

	if (order->n == 0 && !order->prepare)
		return 0;
	int r = db_begin(db);
	if (r == 0)
		r = order_note(eraser, order, &refused, reason);
	if (r == 0)
		r = db_commit(db);
	if (r < 0)
		db_rollback(db);
	return r;
}

/* The keys beside the victims have to be sealed again under fresh keys, so they must open. The
 * erasure does not give up a damaged one: a copy of the database made since the last erasure may
 * have it whole, and would be useless after this erasure. */
static void erasure_explain_damage(const struct root *root, struct reason *reason)
{
	uint64_t damaged;
	enum keytree_damage damage = keytree_damaged(root->tree, &damaged);
	char node[64];

	key_path_node_describe(damaged, node, sizeof(node));
	switch (damage) {
	case KEYTREE_WHOLE:
		reason_set(reason, 0, "the erasure cannot be staged: %s", error_text(-RE_CORRUPT));
		break;
	case KEYTREE_NODE:
		reason_set(reason, 0,
				"the key of %s in keeper.db is damaged: nothing beside it can be "
				"erased until keeper.db is restored from a copy made after the "
				"last erasure",
				node);
		break;
	case KEYTREE_CHILDREN:
		reason_set(reason, 0,
				"keys right below %s in keeper.db are damaged: nothing there can "
				"be erased until keeper.db is restored from a copy made after the "
				"last erasure",
				node);
		break;
	}
}

/* Step 5, and the notices about it. */

static void erasure_announce(const struct eraser *eraser, const struct erasure_result *result,
		const struct erasure_done *done, size_t n)
{
	const struct root *root = eraser->root;
	struct event_fields fields = {.epoch = (int64_t)result->epoch_after};

	/* A move destroys nothing, and must not be reported as a destruction. */
	if (result->only_moves) {
		notices_tell(root->notices, LOG_NOTICE, EVENT_PLAIN, &fields,
				"keys replaced: epoch %" PRIu64 " overwrote epoch %" PRIu64
				" (assurance %s)",
				result->epoch_after, result->epoch_before, root->copies->assurance);
		return;
	}
	notices_tell(root->notices, LOG_NOTICE, EVENT_DESTROYED, &fields,
			"keys of %" PRId64 " recording(s) destroyed: epoch %" PRIu64
			" overwrote epoch %" PRIu64 " (assurance %s)",
			result->recordings, result->epoch_after, result->epoch_before,
			root->copies->assurance);
	for (size_t i = 0; i < n; i++) {
		bool one = done[i].kind == ERASE_RECORDING;
		fields.recording = one ? done[i].subject : NULL;
		fields.account = one ? NULL : done[i].subject;
		notices_tell(root->notices, LOG_NOTICE, EVENT_DESTROYED, &fields,
				"%s %s was shredded by order of uid %u",
				one ? "recording" : "account", done[i].subject,
				(unsigned)done[i].uid);
	}
}

/* One transaction; then the tree goes on with the new root. */
static int erasure_finish_epoch(struct eraser *eraser, const struct root_record *next,
		struct erasure_result *result)
{
	static const struct audit_actor keeper = {0, NULL};
	struct root *root = eraser->root;
	struct erasure_done *done = NULL;
	size_t n_done = 0;
	int r = db_begin(root->db);

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
		r = db_commit(root->db);
	if (r < 0)
		db_rollback(root->db);
	/* Only after the commit: the old root may be forgotten once the rows do not need it. */
	if (r == 0)
		r = epoch_enter(root, next);
	/* Last: nobody may read "destroyed" before a restart would say the same. */
	if (r == 0)
		erasure_announce(eraser, result, done, n_done);
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
	int proof = erasure_prove(eraser->root, next, victims);

	result->only_moves = !victims->destroys;
	int r = erasure_finish_epoch(eraser, next, result);

	if (r < 0) {
		/* The old root is gone and the rows do not know it yet: a restart rolls forward. */
		eraser->root->stuck = true;
		return r;
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
	int r = db_begin(root->db);

	/* The notes are left in their table, so erasure_retry() goes on with them. */
	if (r == 0)
		r = epoch_apply(root, next);
	if (r == 0)
		r = db_commit(root->db);
	if (r < 0) {
		db_rollback(root->db);
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

/* Steps 2 to 5 on what is staged. */
static int erasure_carry_out(struct eraser *eraser, const struct root_record *next,
		const struct victims *victims, struct erasure_result *result, struct reason *reason)
{
	struct root *root = eraser->root;
	int r = erasure_room_check(root->dir_fd, victims->count);

	/* From here on the slots change: without room for step 5 it must not begin. */
	if (r == 0)
		r = epoch_write(root, next, &root->stuck);
	if (r == 0)
		return erasure_complete(eraser, next, victims, result);
	if (r == EPOCH_ENTERED) {
		r = erasure_enter(eraser, next);
		if (r < 0)
			return r;
		reason_set(reason, 0, "an old root could not be overwritten");
		return erasure_pend(eraser, -EIO, reason);
	}
	/* Unless the keeper is stuck now, the old root is still valid, and the order stays
	 * noted. */
	reason_set(reason, 0, "%s", erasure_copies_problem(root, r));
	erasure_pend(eraser, r, reason);
	/* With a stage that cannot be discarded the next epoch would start from wrong rows. */
	if (!root->stuck && erasure_unstage(eraser) < 0)
		root->stuck = true;
	return r;
}

static int erasure_run_order(struct eraser *eraser, const struct erasure_order *order,
		struct erasure_result *ret_result, struct reason *reason)
{
	_cleanup_secret_ struct root_record *next = NULL;
	struct erasure_result result = {0};
	struct victims victims = {0};
	struct reason away = {""};
	struct root *root = eraser->root;

	if (root->stuck)
		return -RE_BUSY;
	/* Nothing begins before every copy of the root was checked: a copy that is away would
	 * keep the old root. */
	int r = mirrors_ready(root, &away);
	if (r < 0) {
		/* The order is not lost: it is carried out when the copy is back, also after a
		 * restart. */
		int noted = order_note_only(eraser, order, reason);
		if (noted == -RE_CORRUPT)
			erasure_explain_damage(root, reason);
		notices_keep_problem(root->notices, "%s",
				noted < 0 ? reason_text(reason, noted) : reason_text(&away, r));
		return noted < 0 ? noted : reason_set(reason, r, "%s", away.text);
	}
	/* Damage shows here, before any slot was written. */
	r = erasure_stage(eraser, order, &victims, &next, &result.refused, reason);
	if (r == -RE_CORRUPT) {
		erasure_explain_damage(root, reason);
		notices_keep_problem(root->notices, "%s", reason_text(reason, r));
	}
	if (r == 0)
		r = erasure_carry_out(eraser, next, &victims, &result, reason);
	erasure_notes_free(&victims);
	if (r == 0)
		*ret_result = result;
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

int erasure_retry(struct eraser *eraser, struct reason *reason)
{
	struct erasure_result result;
	int any = erasure_notes_any(eraser->root->db);

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
	erasure_notes_free(&victims);
	return r == -RE_NOT_ERASED ? 0 : r; /* the alarm is given; the others must be served */
}

int erasure_recover(struct eraser *eraser, const struct root_record *forward, struct reason *reason)
{
	int r = forward ? erasure_roll_forward(eraser, forward, reason) : 0;

	/* An order may have been noted without any epoch: its note alone asks for one. */
	if (r == 0)
		r = erasure_retry(eraser, reason);
	return r == -RE_AWAY ? 0 : r; /* it waits; the others must be served */
}
