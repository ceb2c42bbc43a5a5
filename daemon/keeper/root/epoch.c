#include "daemon/keeper/root/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch_slots.h"
#include "storage/tables/audit.h"
#include "storage/tables/mirror_table.h"
#include "storage/tables/node_table.h"

/* Binds a root to its vault and to the audit log as it stood: BLAKE2b-256(vault id || le64 epoch ||
 * audit head). */
static int anchor_compute(
		struct root *root, uint64_t epoch, uint8_t ret_anchor[static ROOT_DIGEST_BYTES])
{
	crypto_generichash_state state;
	uint8_t head[AUDIT_HASH_BYTES], number[8];
	int r = audit_head(root->db, head);

	if (r < 0)
		return r;
	put_le64(number, epoch);
	crypto_generichash_init(&state, NULL, 0, ROOT_DIGEST_BYTES);
	crypto_generichash_update(&state, root->vault_id, sizeof(root->vault_id));
	crypto_generichash_update(&state, number, sizeof(number));
	crypto_generichash_update(&state, head, sizeof(head));
	crypto_generichash_final(&state, ret_anchor, ROOT_DIGEST_BYTES);
	return 0;
}

int epoch_stage(struct root *root, struct key_path *victims, size_t n,
		struct root_record **ret_next)
{
	struct root_record *next = secret_new(sizeof(*next));
	int r = next ? 0 : -RE_MLOCK;

	if (r == 0) {
		next->epoch = keytree_epoch(root->tree) + 1;
		r = keytree_stage(root->tree, victims, n, next->key, next->top_digest);
	}
	/* In the caller's transaction, so the head includes the order itself. */
	if (r == 0)
		r = anchor_compute(root, next->epoch, next->anchor);
	if (r < 0) {
		secret_free(next);
		return r;
	}
	*ret_next = next;
	return 0;
}

/* Step 3: the root that the slot really holds must open the rows that are really staged. */
static int slot_check_written(
		struct root *root, size_t i, unsigned slot, const struct root_record *next)
{
	_cleanup_secret_ struct root_record *back = secret_new(sizeof(*back));
	int r = back ? epoch_slot_get(root, i, slot, back) : -RE_MLOCK;

	if (r < 0)
		return r;
	/* The medium accepted the write and kept something else. */
	if (r == 0 || back->epoch != next->epoch)
		return -EIO;
	return keytree_check_top(root->db, true, back->key, back->top_digest);
}

static int slots_write_new(struct root *root, unsigned slot, const struct root_record *next)
{
	int r = 0;

	for (size_t i = 0; i < root->copies->n && r == 0; i++) {
		if (!epoch_slot_there(root, i))
			continue;
		r = epoch_slot_put(root, i, slot, next);
		/* Before the next copy, and before any old root goes: a root that opens nothing
		 * would be fatal. */
		if (r == 0)
			r = slot_check_written(root, i, slot, next);
	}
	return r;
}

/* Nothing has been overwritten yet, so the present root stays valid. False when a slot could not be
 * cleared. */
static bool slots_take_back(struct root *root, unsigned slot)
{
	bool ok = true;

	for (size_t i = 0; i < root->copies->n; i++) {
		int r = epoch_slot_there(root, i) ? root_set_clear(root->copies, i, slot) : 0;
		/* A copy that is away is checked again when it is back; the last one cannot be
		 * spared. */
		if (r < 0 && !epoch_slot_lose(root, i, r))
			ok = false;
	}
	return ok;
}

/* Step 4. False when an old root may be left. Point of no return: a write reported as failed may
 * still reach the medium. */
static bool slots_overwrite_old(struct root *root, unsigned slot)
{
	bool all = true;

	for (size_t i = 0; i < root->copies->n; i++) {
		int r = epoch_slot_there(root, i) ? root_set_clear(root->copies, i, slot)
						  : -RE_AWAY;
		if (r < 0 && epoch_slot_there(root, i))
			r = root_set_clear(root->copies, i, slot); /* once more */
		/* All the others are overwritten even if one fails: fewer old roots are left. */
		if (r == 0)
			continue;
		all = false;
		if (epoch_slot_there(root, i))
			epoch_slot_lose(root, i, r);
	}
	return all;
}

int epoch_write(struct root *root, const struct root_record *next, bool *ret_stuck)
{
	unsigned active = root->slot, inactive = 1 - active;
	int r = root_set_away(root->copies) ? -RE_AWAY : slots_write_new(root, inactive, next);

	if (r == -RE_AWAY)
		return r; /* nothing is begun without all of them */
	if (r < 0) {
		/* A new root may be left beside the old one: recovery must choose. */
		if (!slots_take_back(root, inactive))
			*ret_stuck = true;
		return r;
	}
	/* Every copy has the new root, read back: the old one may go. */
	root->slot = inactive;
	return slots_overwrite_old(root, active) ? 0 : EPOCH_ENTERED;
}

int epoch_discard(struct root *root)
{
	uint8_t top[ROOT_DIGEST_BYTES];
	int r = 0;

	/* A copy that failed may hold the root of this stage. Its digest is noted, so that it is
	 * not taken for a root of a later epoch when the copy is back. */
	if (root_set_away(root->copies)) {
		r = keytree_top_digest(root->db, true, top);
		if (r == 0)
			r = mirror_table_set_void(root->db, top);
	}
	return r < 0 ? r : node_table_discard_staged(root->db);
}

int epoch_apply(struct root *root, const struct root_record *next)
{
	struct vault_row row;
	int r = db_vault_get(root->db, &row);

	if (r < 0)
		return r;
	row.epoch = next->epoch;
	memcpy(row.anchor, next->anchor, sizeof(row.anchor));
	r = node_table_apply_staged(root->db);
	return r < 0 ? r : db_vault_put(root->db, &row);
}

/* An erasure does not depend on the witness: a full object folder must not undo or stop a shred.
 * The keeper tries again later, and `doctor` shows that the witness is owed. */
void epoch_witness(struct root *root)
{
	int r = object_store_witness_put(root->store, root_epoch(root));

	root->witness_owed = r < 0;
	if (r < 0)
		notices_keep_problem(root->notices,
				"the object folder cannot keep a note of the epoch: %s. Check that "
				"it is writable and has free space; the keeper tries again",
				error_text(r));
}

int epoch_enter(struct root *root, const struct root_record *next)
{
	/* At a start that rolls forward there is no tree yet. */
	if (root->tree)
		keytree_advance(root->tree, next->key);
	else
		root->tree = keytree_new(root->db, next->key, next->epoch);
	if (!root->tree)
		return -RE_MLOCK;
	/* After the root is in use: a witness that ran ahead would refuse a vault that is right. */
	epoch_witness(root);
	return 0;
}

int epoch_first(struct root *root, const uint8_t key[static ROOT_KEY_BYTES],
		struct root_record *ret_record)
{
	ret_record->epoch = 1;
	memcpy(ret_record->key, key, ROOT_KEY_BYTES);
	int r = keytree_top_digest(root->db, false, ret_record->top_digest);
	if (r == 0)
		r = anchor_compute(root, 1, ret_record->anchor);
	/* Still inside the transaction: if it fails, the vault does not exist. */
	if (r == 0)
		r = epoch_slot_put(root, 0, 0, ret_record);
	if (r == 0)
		root->slot = 0;
	return r;
}
