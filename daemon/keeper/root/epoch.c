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
static int anchor_for(
		struct vault *vault, uint64_t epoch, uint8_t ret_anchor[static ROOT_DIGEST_BYTES])
{
	crypto_generichash_state state;
	uint8_t head[AUDIT_HASH_BYTES], number[8];
	int r = audit_head(vault->db, head);

	if (r < 0)
		return r;
	put_le64(number, epoch);
	crypto_generichash_init(&state, NULL, 0, ROOT_DIGEST_BYTES);
	crypto_generichash_update(&state, vault->vault_id, sizeof(vault->vault_id));
	crypto_generichash_update(&state, number, sizeof(number));
	crypto_generichash_update(&state, head, sizeof(head));
	crypto_generichash_final(&state, ret_anchor, ROOT_DIGEST_BYTES);
	return 0;
}

int epoch_stage(struct vault *vault, struct key_path *victims, size_t n,
		struct root_record **ret_next)
{
	struct root_record *next = secret_new(sizeof(*next));
	int r = next ? 0 : -RE_MLOCK;

	if (r == 0) {
		next->epoch = keytree_epoch(vault->tree) + 1;
		r = keytree_stage(vault->tree, victims, n, next->key, next->top_digest);
	}
	if (r == 0)
		r = anchor_for(vault, next->epoch, next->anchor);
	if (r < 0) {
		secret_free(next);
		return r;
	}
	*ret_next = next;
	return 0;
}

/* Step 3: what is really in the slot opens what is really staged. */
static int check_written(
		struct vault *vault, size_t i, unsigned slot, const struct root_record *next)
{
	_cleanup_secret_ struct root_record *back = secret_new(sizeof(*back));
	int r = back ? epoch_slot_get(vault, i, slot, back) : -RE_MLOCK;

	if (r < 0)
		return r;
	if (r == 0 || back->epoch != next->epoch)
		return -EIO;
	return keytree_check_top(vault->db, true, back->key, back->top_digest);
}

static int write_new(struct vault *vault, unsigned slot, const struct root_record *next)
{
	int r = 0;

	for (size_t i = 0; i < vault->root->n && r == 0; i++) {
		if (!epoch_slot_there(vault, i))
			continue;
		r = epoch_slot_put(vault, i, slot, next);
		if (r == 0)
			r = check_written(vault, i, slot, next);
	}
	return r;
}

/* Nothing has been overwritten yet: back to the present root. False when that cannot be. */
static bool take_back(struct vault *vault, unsigned slot)
{
	bool ok = true;

	for (size_t i = 0; i < vault->root->n; i++) {
		int r = epoch_slot_there(vault, i) ? root_set_clear(vault->root, i, slot) : 0;
		if (r < 0 && !epoch_slot_lose(vault, i, r))
			ok = false;
	}
	return ok;
}

/* Step 4. False when an old root may be left. There is no way back from here: an overwriting that
 * was refused may yet come to pass. */
static bool overwrite_old(struct vault *vault, unsigned slot)
{
	bool all = true;

	for (size_t i = 0; i < vault->root->n; i++) {
		int r = epoch_slot_there(vault, i) ? root_set_clear(vault->root, i, slot)
						   : -RE_AWAY;
		if (r < 0 && epoch_slot_there(vault, i))
			r = root_set_clear(vault->root, i, slot); /* once more */
		if (r == 0)
			continue;
		all = false;
		if (epoch_slot_there(vault, i))
			epoch_slot_lose(vault, i, r);
	}
	return all;
}

int epoch_write(struct vault *vault, const struct root_record *next, bool *ret_stuck)
{
	unsigned active = vault->root_slot, inactive = 1 - active;
	int r = root_set_away(vault->root) ? -RE_AWAY : write_new(vault, inactive, next);

	if (r == -RE_AWAY)
		return r; /* nothing is begun without all of them */
	if (r < 0) {
		if (!take_back(vault, inactive))
			*ret_stuck = true;
		return r;
	}
	vault->root_slot = inactive;
	return overwrite_old(vault, active) ? 0 : EPOCH_ENTERED;
}

int epoch_discard(struct vault *vault)
{
	uint8_t top[ROOT_DIGEST_BYTES];
	int r = 0;

	if (root_set_away(vault->root)) {
		r = keytree_top_digest(vault->db, true, top);
		if (r == 0)
			r = mirror_table_set_void(vault->db, top);
	}
	return r < 0 ? r : node_table_discard_staged(vault->db);
}

int epoch_apply(struct vault *vault, const struct root_record *next)
{
	struct vault_row row;
	int r = db_vault_get(vault->db, &row);

	if (r < 0)
		return r;
	row.epoch = next->epoch;
	memcpy(row.anchor, next->anchor, sizeof(row.anchor));
	r = node_table_apply_staged(vault->db);
	return r < 0 ? r : db_vault_put(vault->db, &row);
}

/* The erasure does not depend on it: a full object folder must not undo, or stop, a shred. */
void epoch_witness(struct vault *vault)
{
	int r = vault->store->ops->witness_put(vault->store, vault_epoch(vault));

	vault->witness_owed = r < 0;
	if (r < 0)
		vault_trouble(vault, "the object folder cannot keep a note of the epoch: %s",
				error_text(r));
}

int epoch_enter(struct vault *vault, const struct root_record *next)
{
	if (vault->tree)
		keytree_advance(vault->tree, next->key);
	else
		vault->tree = keytree_new(vault->db, next->key, next->epoch);
	if (!vault->tree)
		return -RE_MLOCK;
	epoch_witness(vault);
	return 0;
}

int epoch_first(struct vault *vault, const uint8_t root[static ROOT_KEY_BYTES],
		struct root_record *ret_record)
{
	ret_record->epoch = 1;
	memcpy(ret_record->key, root, ROOT_KEY_BYTES);
	int r = keytree_top_digest(vault->db, false, ret_record->top_digest);
	if (r == 0)
		r = anchor_for(vault, 1, ret_record->anchor);
	if (r == 0)
		r = epoch_slot_put(vault, 0, 0, ret_record);
	if (r == 0)
		vault->root_slot = 0;
	return r;
}
