/* Recovery: what a starting keeper does with root slots and database. It follows the table in
 * epoch.h, row by row.
 *
 * Invariants:
 * 1. No slot is overwritten before another slot with the chosen root was written and read back.
 * 2. A root that opens the present top is never given up for one that does not.
 * 3. Slots and database that fit no row of the table were put back from a copy. The keeper refuses
 *    them and changes nothing. */
#include "daemon/keeper/root/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch_slots.h"
#include "storage/tables/mirror_table.h"
#include "storage/tables/node_table.h"

/* A root in secret memory, and where it was found. */
struct found {
	struct root_record record;
	bool valid;
};

struct slots {
	struct found of[ROOT_MEMBERS_MAX][ROOT_SLOTS];
};

/* The slot whose root the keeper goes on with. */
struct choice {
	size_t member;
	unsigned slot;
	enum fit {
		FIT_NOT,
		FIT_PRESENT, /* the present epoch */
		FIT_FORWARD, /* one to go forward to */
	} fit;
};

static int fit_judge(struct root *root, const struct vault_row *row,
		const struct root_record *record, enum fit *ret_fit)
{
	bool present = record->epoch == row->epoch, forward = record->epoch == row->epoch + 1;
	int r;

	*ret_fit = FIT_NOT;
	/* Same epoch, other history: a copy that went its own way from an older state. */
	if (present && sodium_memcmp(record->anchor, row->anchor, ROOT_DIGEST_BYTES) != 0)
		return 0;
	if (!present && !forward)
		return 0;
	/* Without staged rows there is nothing that a later root could open. */
	if (forward && (r = node_table_any_staged(root->db)) <= 0)
		return r;
	r = keytree_check_top(root->db, forward, record->key, record->top_digest);
	if (r == 0)
		*ret_fit = present ? FIT_PRESENT : FIT_FORWARD;
	return r == -RE_EPOCH ? 0 : r;
}

static int recover_explain(struct root *root, int r, const char *what, struct reason *reason)
{
	if (r == -RE_CORRUPT)
		reason_set(reason, r,
				"cannot %s: the database %s/keeper.db is corrupt. Restore "
				"keeper.db from a copy made after the last erasure. Leave "
				"root.slots as it is",
				what, root->settings.keeper_dir);
	else if (r < 0)
		reason_set(reason, r, "cannot %s in %s: %s", what, root->settings.keeper_dir,
				error_text(r));
	return r;
}

static int slots_read_copy(struct root *root, size_t i, struct slots *slots, struct reason *reason)
{
	int r = 0;

	for (unsigned slot = 0; slot < ROOT_SLOTS && r == 0; slot++) {
		struct found *found = &slots->of[i][slot];
		int valid = epoch_slot_get(root, i, slot, &found->record);
		found->valid = valid > 0;
		r = valid < 0 ? valid : 0;
	}
	/* The other copies decide alone; this one is compared when it is back. */
	if (r < 0 && epoch_slot_lose(root, i, r)) {
		memset(slots->of[i], 0, sizeof(slots->of[i]));
		return 0;
	}
	if (r < 0)
		reason_set(reason, r, "the root slots cannot be read: %s",
				root_set_reason(root->copies, i, r));
	return r;
}

static int slots_read(struct root *root, struct slots *slots, struct reason *reason)
{
	bool any = false;

	for (size_t i = 0; i < root->copies->n; i++) {
		int r = epoch_slot_there(root, i) ? slots_read_copy(root, i, slots, reason) : 0;
		if (r < 0)
			return r;
		any |= slots->of[i][0].valid || slots->of[i][1].valid;
	}
	return any ? 0
		   : reason_set(reason, -RE_NO_ROOT,
				     "no root slot holds a valid root, and every recording here is "
				     "sealed under it. Restore %s/root.slots from a copy made "
				     "after the last erasure, or bring a mirror of the root back. "
				     "The keeper makes no new root: see recseal-keeper(8)",
				     root->settings.keeper_dir);
}

/* The highest valid slot whose top opens. */
static int slots_choose(struct root *root, const struct vault_row *row, const struct slots *slots,
		struct choice *ret_choice)
{
	struct choice best = {.fit = FIT_NOT};

	for (size_t i = 0; i < root->copies->n; i++) {
		for (unsigned slot = 0; slot < ROOT_SLOTS; slot++) {
			const struct found *found = &slots->of[i][slot];
			enum fit fit = FIT_NOT;
			int r = found->valid ? fit_judge(root, row, &found->record, &fit) : 0;
			if (r < 0)
				return r;
			/* Forward beats present: the new root was complete, so the erasure goes
			 * on. */
			if (fit > best.fit)
				best = (struct choice){i, slot, fit};
		}
	}
	*ret_choice = best;
	return 0;
}

/* Refuses an old database: a copy holds a root of a later epoch, and that epoch was not given up
 * (mirror_table_set_void()). */
static int slots_check_newer(struct root *root, const struct slots *slots,
		const struct root_record *chosen, struct reason *reason)
{
	uint8_t void_top[ROOT_DIGEST_BYTES];
	int voided = mirror_table_get_void(root->db, void_top);

	if (voided < 0)
		return voided;
	for (size_t i = 0; i < root->copies->n && root->copies->n > 1; i++) {
		for (unsigned slot = 0; slot < ROOT_SLOTS; slot++) {
			const struct found *found = &slots->of[i][slot];
			if (!found->valid || found->record.epoch <= chosen->epoch)
				continue;
			/* The root of a stage that was given up while this copy was away. */
			if (voided && memcmp(found->record.top_digest, void_top,
						      sizeof(void_top)) == 0)
				continue;
			return reason_set(reason, -RE_EPOCH,
					"epoch mismatch: the database %s/keeper.db is of epoch "
					"%" PRIu64 ", but %s (%s) holds a root of epoch %" PRIu64
					". The database was put back from a copy made before an "
					"erasure. Restore the newest keeper.db",
					root->settings.keeper_dir, chosen->epoch,
					root->copies->member[i].name,
					root->copies->member[i].location, found->record.epoch);
		}
	}
	return 0;
}

static int recover_refuse(struct root *root, const struct vault_row *row, const struct slots *slots,
		struct reason *reason)
{
	uint64_t epoch = 0;

	for (size_t i = 0; i < root->copies->n * ROOT_SLOTS; i++) {
		const struct found *found = &slots->of[i / ROOT_SLOTS][i % ROOT_SLOTS];
		if (found->valid && found->record.epoch > epoch)
			epoch = found->record.epoch;
	}
	/* Two different mistakes: here restoring a root would not help. */
	if (epoch == row->epoch) {
		return reason_set(reason, -RE_EPOCH,
				"the root does not open the keys in %s/keeper.db, though both are "
				"of epoch %" PRIu64
				": the database is damaged, or they do not belong together. "
				"Restore the keeper.db that goes with this root",
				root->settings.keeper_dir, epoch);
	}
	return reason_set(reason, -RE_EPOCH,
			"epoch mismatch: the root is of epoch %" PRIu64
			", the database %s/keeper.db of epoch %" PRIu64
			", and they do not belong together. One of them was put back from a copy "
			"made before an erasure. Recordings destroyed since then stay destroyed. "
			"Restore the keeper.db that goes with the newest root.slots",
			epoch, root->settings.keeper_dir, row->epoch);
}

static int witness_check(struct root *root, uint64_t epoch, struct reason *reason)
{
	uint64_t witnessed;
	int r = object_store_witness_get(root->store, &witnessed);

	if (r < 0)
		return recover_explain(root, r, "compare the objects' epoch with that", reason);
	/* A lower number is fine: the witness may be owed, or its folder was restored. */
	if (witnessed <= epoch)
		return 0;
	return reason_set(reason, -RE_EPOCH,
			"epoch mismatch: this state is of epoch %" PRIu64
			", but %s has seen epoch %" PRIu64
			". The state was put back from a copy made before an erasure; it is "
			"refused, so that what was destroyed stays destroyed. Restore a copy made "
			"at epoch %" PRIu64 "",
			epoch, root->settings.objects_dir, witnessed, witnessed);
}

static bool found_is(const struct found *found, const struct root_record *record)
{
	return found->valid && found->record.epoch == record->epoch &&
	       sodium_memcmp(found->record.key, record->key, ROOT_KEY_BYTES) == 0;
}

/* Every copy gets the chosen root, read back, before any copy loses its other slot. */
static int slots_settle(struct root *root, const struct slots *slots, const struct choice *choice)
{
	const struct root_record *chosen = &slots->of[choice->member][choice->slot].record;

	/* Two passes: a crash between them leaves the chosen root in every copy. */
	for (size_t i = 0; i < root->copies->n; i++) {
		if (!epoch_slot_there(root, i) || found_is(&slots->of[i][choice->slot], chosen))
			continue;
		int r = epoch_slot_put(root, i, choice->slot, chosen);
		if (r < 0 && !epoch_slot_lose(root, i, r))
			return r;
	}
	for (size_t i = 0; i < root->copies->n; i++) {
		int r = epoch_slot_there(root, i)
					? root_set_clear(root->copies, i, 1 - choice->slot)
					: 0;
		if (r < 0 && !epoch_slot_lose(root, i, r))
			return r;
	}
	root->slot = choice->slot;
	return 0;
}

/* Leaves exactly one valid slot, and what is staged only if it is still to be applied. */
static int recover_settle(struct root *root, const struct slots *slots, const struct choice *choice)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = slots_settle(root, slots, choice);

	/* The rows are discarded only when no slot holds their
	 * root any more. */
	if (r < 0 || choice->fit == FIT_FORWARD || (r = node_table_any_staged(root->db)) <= 0)
		return r;
	r = db_transaction_begin(&transaction, root->db);
	if (r == 0)
		r = epoch_discard(root);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

static int recover_take_root(struct root *root, const struct root_record *record, enum fit fit,
		struct root_record **ret_forward)
{
	/* The rows are not applied yet, so there is no tree for this root. */
	if (fit == FIT_FORWARD) {
		*ret_forward = secret_new(sizeof(**ret_forward));
		if (!*ret_forward)
			return -RE_MLOCK;
		**ret_forward = *record;
		return 0;
	}
	*ret_forward = NULL;
	root->tree = keytree_new(root->db, record->key, record->epoch);
	if (!root->tree)
		return -RE_MLOCK;
	/* A crash may have come between the erasure point and the witness. */
	epoch_witness(root);
	return 0;
}

int epoch_recover(struct root *root, struct reason *reason, struct root_record **ret_forward)
{
	_cleanup_secret_ struct slots *slots = secret_new(sizeof(*slots));
	struct vault_row row;
	struct choice choice;
	int r = slots ? db_vault_get(root->db, &row) : -RE_MLOCK;

	if (r < 0)
		return recover_explain(root, r, "read which vault this is", reason);
	memset(slots, 0, sizeof(*slots));
	r = slots_read(root, slots, reason);
	if (r < 0)
		return r;
	r = slots_choose(root, &row, slots, &choice);
	if (r < 0)
		return recover_explain(root, r, "compare root slots and database", reason);
	/* Overwriting either side here could destroy the only thing that still fits. */
	if (choice.fit == FIT_NOT)
		return recover_refuse(root, &row, slots, reason);
	const struct root_record *chosen = &slots->of[choice.member][choice.slot].record;
	/* Both checks come before anything is written: a refusal leaves the evidence as it is. */
	r = slots_check_newer(root, slots, chosen, reason);
	if (r == 0)
		r = witness_check(root, chosen->epoch, reason);
	if (r < 0)
		return r;
	r = recover_settle(root, slots, &choice);
	if (r == 0)
		r = recover_take_root(root, chosen, choice.fit, ret_forward);
	return recover_explain(root, r, "bring root slots and database together", reason);
}
