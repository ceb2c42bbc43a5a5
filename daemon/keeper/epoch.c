#include "daemon/keeper/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keytree.h"
#include "storage/audit.h"
#include "storage/node_table.h"

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

int epoch_stage(
	struct vault *vault, struct key_path *victims, size_t n, struct root_record **ret_next)
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

/* Writes an image and reads it back: 0 only when the medium now holds it. */
static int write_checked(
	struct vault *vault, unsigned slot, const uint8_t image[static ROOT_IMAGE_BYTES])
{
	_cleanup_secret_ uint8_t *back = secret_new(ROOT_IMAGE_BYTES);
	struct root_provider *root = vault->root;

	if (!back)
		return -RE_MLOCK;
	int r = root->ops->write(root, slot, image);
	if (r == 0)
		r = root->ops->read(root, slot, back);
	if (r == 0 && sodium_memcmp(back, image, ROOT_IMAGE_BYTES) != 0)
		r = -EIO;
	return r;
}

static int write_record(struct vault *vault, unsigned slot, const struct root_record *record)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);

	if (!image)
		return -RE_MLOCK;
	root_record_encode(record, image);
	return write_checked(vault, slot, image);
}

/* Random bytes, not zeros: a device may keep zeros without writing them. */
static int clear_slot(struct vault *vault, unsigned slot)
{
	uint8_t image[ROOT_IMAGE_BYTES];

	randombytes_buf(image, sizeof(image));
	return write_checked(vault, slot, image);
}

/* 1 and the record when the slot holds a valid one, 0 when not, or an error of the medium. */
static int read_record(struct vault *vault, unsigned slot, struct root_record *ret_record)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	struct root_provider *root = vault->root;

	if (!image)
		return -RE_MLOCK;
	int r = root->ops->read(root, slot, image);
	if (r < 0)
		return r;
	return root_record_decode(image, ret_record) == 0;
}

/* Step 3: what is really in the slot opens what is really staged. */
static int check_written(struct vault *vault, unsigned slot, const struct root_record *next)
{
	_cleanup_secret_ struct root_record *back = secret_new(sizeof(*back));
	int r = back ? read_record(vault, slot, back) : -RE_MLOCK;

	if (r < 0)
		return r;
	if (r == 0 || back->epoch != next->epoch)
		return -EIO;
	return keytree_check_top(vault->db, true, back->key, back->top_digest);
}

/* The old root could not be overwritten. If it is whole, the commit can be undone by clearing the
 * new one; if it is torn, or nothing can be written, only a restart can tell. */
static void undo_or_stuck(struct vault *vault, unsigned fresh_slot, bool *ret_stuck)
{
	_cleanup_secret_ struct root_record *active = secret_new(sizeof(*active));
	bool whole = active && read_record(vault, vault->root_slot, active) > 0 &&
		     active->epoch == keytree_epoch(vault->tree);

	if (!whole || clear_slot(vault, fresh_slot) < 0)
		*ret_stuck = true;
}

int epoch_write(struct vault *vault, const struct root_record *next, bool *ret_stuck)
{
	unsigned active = vault->root_slot, inactive = 1 - active;
	int r = write_record(vault, inactive, next);

	if (r == 0)
		r = check_written(vault, inactive, next);
	if (r < 0) {
		if (clear_slot(vault, inactive) < 0)
			*ret_stuck = true;
		return r;
	}
	r = clear_slot(vault, active);
	if (r < 0)
		r = clear_slot(vault, active); /* once more: the way back is the worse one */
	if (r < 0) {
		undo_or_stuck(vault, inactive, ret_stuck);
		return r;
	}
	vault->root_slot = inactive;
	return 0;
}

int epoch_apply(struct vault *vault, const struct root_record *next)
{
	struct vault_row row;
	int r = db_vault_get(vault->db, &row);

	if (r < 0)
		return r;
	row.epoch = next->epoch;
	memcpy(row.anchor, next->anchor, sizeof(row.anchor));
	r = node_apply_staged(vault->db);
	return r < 0 ? r : db_vault_put(vault->db, &row);
}

/* The erasure does not depend on it: a full object folder must not undo, or stop, a shred. */
void epoch_witness(struct vault *vault)
{
	int r = vault->store->ops->witness_put(vault->store, vault_epoch(vault));

	vault->witness_owed = r < 0;
	if (r < 0)
		vault_trouble(vault, "the object folder cannot keep a note of the epoch: %s",
			re_strerror(r));
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
		r = write_record(vault, 0, ret_record);
	if (r == 0)
		vault->root_slot = 0;
	return r;
}

/* Recovery. */

struct slots {
	struct root_record record[ROOT_SLOTS];
	bool valid[ROOT_SLOTS];
};

/* How a slot's record and the database fit: the present epoch, one to go forward to, or neither. */
enum fit { FIT_NOT, FIT_PRESENT, FIT_FORWARD };

static int fit_of(struct vault *vault, const struct vault_row *row,
	const struct root_record *record, enum fit *ret_fit)
{
	bool present = record->epoch == row->epoch, forward = record->epoch == row->epoch + 1;
	int r;

	*ret_fit = FIT_NOT;
	if (present && sodium_memcmp(record->anchor, row->anchor, ROOT_DIGEST_BYTES) != 0)
		return 0;
	if (!present && !forward)
		return 0;
	if (forward && (r = node_any_staged(vault->db)) <= 0)
		return r;
	r = keytree_check_top(vault->db, forward, record->key, record->top_digest);
	if (r == 0)
		*ret_fit = present ? FIT_PRESENT : FIT_FORWARD;
	return r == -RE_EPOCH ? 0 : r;
}

static int cannot(struct vault *vault, int r, const char *what, FILE *errors)
{
	if (r == -RE_CORRUPT)
		fprintf(errors,
			"cannot %s: the database %s/keeper.db is corrupt: restore it from a copy "
			"made after the last erasure, and leave root.slots as it is\n",
			what, vault->config->keeper_dir);
	else if (r < 0)
		fprintf(errors, "cannot %s in %s: %s\n", what, vault->config->keeper_dir,
			re_strerror(r));
	return r;
}

static int read_slots(struct vault *vault, struct slots *slots, FILE *errors)
{
	bool any = false;

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		int r = read_record(vault, i, &slots->record[i]);
		if (r < 0) {
			fprintf(errors, "root slot %u cannot be read: %s\n", i, re_strerror(r));
			return r;
		}
		slots->valid[i] = r > 0;
		any |= r > 0;
	}
	if (!any)
		fprintf(errors,
			"neither root slot holds a valid root: every recording here is sealed "
			"under it. Restore %s/root.slots, if there is a copy made after the last "
			"erasure; no new root is made\n",
			vault->config->keeper_dir);
	return any ? 0 : -RE_NO_ROOT;
}

/* The highest valid slot whose top opens. */
static int choose(struct vault *vault, const struct vault_row *row, const struct slots *slots,
	unsigned *ret_slot, enum fit *ret_fit)
{
	enum fit best = FIT_NOT;

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		enum fit fit = FIT_NOT;
		int r = slots->valid[i] ? fit_of(vault, row, &slots->record[i], &fit) : 0;
		if (r < 0)
			return r;
		if (fit > best) {
			best = fit;
			*ret_slot = i;
		}
	}
	*ret_fit = best;
	return 0;
}

static int refuse(
	struct vault *vault, const struct vault_row *row, const struct slots *slots, FILE *errors)
{
	uint64_t epoch = 0;

	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		if (slots->valid[i] && slots->record[i].epoch > epoch)
			epoch = slots->record[i].epoch;
	}
	if (epoch == row->epoch) {
		fprintf(errors,
			"the root does not open the keys in %s/keeper.db, though both are of epoch "
			"%" PRIu64 ": the database is damaged, or they do not belong together. "
			"Restore the keeper.db that goes with this root\n",
			vault->config->keeper_dir, epoch);
		return -RE_EPOCH;
	}
	fprintf(errors,
		"epoch mismatch: the root is of epoch %" PRIu64
		", the database %s/keeper.db of epoch %" PRIu64
		", and they do not belong together. One of them was put back from a copy made "
		"before an erasure; "
		"recordings destroyed since then stay destroyed. Restore the keeper.db that goes "
		"with the newest root.slots\n",
		epoch, vault->config->keeper_dir, row->epoch);
	return -RE_EPOCH;
}

static int check_witness(struct vault *vault, uint64_t epoch, FILE *errors)
{
	uint64_t witnessed;
	int r = vault->store->ops->witness_get(vault->store, &witnessed);

	if (r < 0)
		return cannot(vault, r, "compare the objects' epoch with that", errors);
	if (witnessed <= epoch)
		return 0;
	fprintf(errors,
		"epoch mismatch: this state is of epoch %" PRIu64 ", but %s has seen epoch %" PRIu64
		". The state was put back from a copy made before an erasure; it is refused, so "
		"that what "
		"was destroyed stays destroyed. Restore a copy made at epoch %" PRIu64 "\n",
		epoch, vault->config->objects_dir, witnessed, witnessed);
	return -RE_EPOCH;
}

/* Leaves exactly one valid slot, and what is staged only if it is still to be applied. */
static int settle(struct vault *vault, unsigned slot, enum fit fit)
{
	int r = clear_slot(vault, 1 - slot);

	vault->root_slot = slot;
	if (r < 0 || fit == FIT_FORWARD || (r = node_any_staged(vault->db)) <= 0)
		return r;
	r = db_begin(vault->db);
	if (r == 0)
		r = node_discard_staged(vault->db);
	return r < 0 ? r : db_commit(vault->db);
}

static int take_root(struct vault *vault, const struct root_record *record, enum fit fit,
	struct root_record **ret_forward)
{
	if (fit == FIT_FORWARD) {
		*ret_forward = secret_new(sizeof(**ret_forward));
		if (!*ret_forward)
			return -RE_MLOCK;
		**ret_forward = *record;
		return 0;
	}
	*ret_forward = NULL;
	vault->tree = keytree_new(vault->db, record->key, record->epoch);
	if (!vault->tree)
		return -RE_MLOCK;
	/* A crash may have come between the erasure point and the witness. */
	epoch_witness(vault);
	return 0;
}

int epoch_recover(struct vault *vault, FILE *errors, struct root_record **ret_forward)
{
	_cleanup_secret_ struct slots *slots = secret_new(sizeof(*slots));
	struct vault_row row;
	unsigned slot = 0;
	enum fit fit = FIT_NOT;
	int r = slots ? db_vault_get(vault->db, &row) : -RE_MLOCK;

	if (r < 0)
		return cannot(vault, r, "read which vault this is", errors);
	r = read_slots(vault, slots, errors);
	if (r < 0)
		return r;
	r = choose(vault, &row, slots, &slot, &fit);
	if (r < 0)
		return cannot(vault, r, "compare root slots and database", errors);
	if (fit == FIT_NOT)
		return refuse(vault, &row, slots, errors);
	r = check_witness(vault, slots->record[slot].epoch, errors);
	if (r < 0)
		return r;
	r = settle(vault, slot, fit);
	if (r == 0)
		r = take_root(vault, &slots->record[slot], fit, ret_forward);
	return cannot(vault, r, "bring root slots and database together", errors);
}
