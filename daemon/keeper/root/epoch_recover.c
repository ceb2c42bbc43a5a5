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

/* The one to go on with. */
struct choice {
	size_t member;
	unsigned slot;
	enum fit {
		FIT_NOT,
		FIT_PRESENT, /* the present epoch */
		FIT_FORWARD, /* one to go forward to */
	} fit;
};

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
	if (forward && (r = node_table_any_staged(vault->db)) <= 0)
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
				error_text(r));
	return r;
}

static int read_member(struct vault *vault, size_t i, struct slots *slots, FILE *errors)
{
	int r = 0;

	for (unsigned slot = 0; slot < ROOT_SLOTS && r == 0; slot++) {
		struct found *found = &slots->of[i][slot];
		int valid = epoch_slot_get(vault, i, slot, &found->record);
		found->valid = valid > 0;
		r = valid < 0 ? valid : 0;
	}
	if (r < 0 && epoch_slot_lose(vault, i, r)) {
		memset(slots->of[i], 0, sizeof(slots->of[i]));
		return 0;
	}
	if (r < 0)
		fprintf(errors, "the root slots cannot be read: %s\n",
				root_set_reason(vault->root, i, r));
	return r;
}

static int read_slots(struct vault *vault, struct slots *slots, FILE *errors)
{
	bool any = false;

	for (size_t i = 0; i < vault->root->n; i++) {
		int r = epoch_slot_there(vault, i) ? read_member(vault, i, slots, errors) : 0;
		if (r < 0)
			return r;
		any |= slots->of[i][0].valid || slots->of[i][1].valid;
	}
	if (!any)
		fprintf(errors,
				"no root slot holds a valid root: every recording here is sealed under it. "
				"Restore %s/root.slots, if there is a copy made after the last erasure, or "
				"bring a mirror of the root back; no new root is made\n",
				vault->config->keeper_dir);
	return any ? 0 : -RE_NO_ROOT;
}

/* The highest valid slot whose top opens. */
static int choose(struct vault *vault, const struct vault_row *row, const struct slots *slots,
		struct choice *ret_choice)
{
	struct choice best = {.fit = FIT_NOT};

	for (size_t i = 0; i < vault->root->n; i++) {
		for (unsigned slot = 0; slot < ROOT_SLOTS; slot++) {
			const struct found *found = &slots->of[i][slot];
			enum fit fit = FIT_NOT;
			int r = found->valid ? fit_of(vault, row, &found->record, &fit) : 0;
			if (r < 0)
				return r;
			if (fit > best.fit)
				best = (struct choice){i, slot, fit};
		}
	}
	*ret_choice = best;
	return 0;
}

/* A root from after this database's epoch, that is not of a stage which was given up: the database
 * is an old one. */
static int check_newer(struct vault *vault, const struct slots *slots,
		const struct root_record *chosen, FILE *errors)
{
	uint8_t void_top[ROOT_DIGEST_BYTES];
	int voided = mirror_table_get_void(vault->db, void_top);

	if (voided < 0)
		return voided;
	for (size_t i = 0; i < vault->root->n && vault->root->n > 1; i++) {
		for (unsigned slot = 0; slot < ROOT_SLOTS; slot++) {
			const struct found *found = &slots->of[i][slot];
			if (!found->valid || found->record.epoch <= chosen->epoch)
				continue;
			if (voided && memcmp(found->record.top_digest, void_top,
						      sizeof(void_top)) == 0)
				continue;
			fprintf(errors,
					"epoch mismatch: the database %s/keeper.db is of epoch %" PRIu64
					", but %s (%s) holds a root of epoch %" PRIu64
					". The database was put back from a copy made before an erasure; "
					"restore the newest one\n",
					vault->config->keeper_dir, chosen->epoch,
					vault->root->member[i].name,
					vault->root->member[i].location, found->record.epoch);
			return -RE_EPOCH;
		}
	}
	return 0;
}

static int refuse(struct vault *vault, const struct vault_row *row, const struct slots *slots,
		FILE *errors)
{
	uint64_t epoch = 0;

	for (size_t i = 0; i < vault->root->n * ROOT_SLOTS; i++) {
		const struct found *found = &slots->of[i / ROOT_SLOTS][i % ROOT_SLOTS];
		if (found->valid && found->record.epoch > epoch)
			epoch = found->record.epoch;
	}
	if (epoch == row->epoch) {
		fprintf(errors,
				"the root does not open the keys in %s/keeper.db, though both are of epoch "
				"%" PRIu64
				": the database is damaged, or they do not belong together. "
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
			"epoch mismatch: this state is of epoch %" PRIu64
			", but %s has seen epoch %" PRIu64
			". The state was put back from a copy made before an erasure; it is refused, so "
			"that what "
			"was destroyed stays destroyed. Restore a copy made at epoch %" PRIu64 "\n",
			epoch, vault->config->objects_dir, witnessed, witnessed);
	return -RE_EPOCH;
}

static bool same(const struct found *found, const struct root_record *record)
{
	return found->valid && found->record.epoch == record->epoch &&
	       sodium_memcmp(found->record.key, record->key, ROOT_KEY_BYTES) == 0;
}

/* Every member has the chosen root, and has it verified, before any loses another. */
static int settle_slots(struct vault *vault, const struct slots *slots, const struct choice *choice)
{
	const struct root_record *chosen = &slots->of[choice->member][choice->slot].record;

	for (size_t i = 0; i < vault->root->n; i++) {
		if (!epoch_slot_there(vault, i) || same(&slots->of[i][choice->slot], chosen))
			continue;
		int r = epoch_slot_put(vault, i, choice->slot, chosen);
		if (r < 0 && !epoch_slot_lose(vault, i, r))
			return r;
	}
	for (size_t i = 0; i < vault->root->n; i++) {
		int r = epoch_slot_there(vault, i)
					? root_set_clear(vault->root, i, 1 - choice->slot)
					: 0;
		if (r < 0 && !epoch_slot_lose(vault, i, r))
			return r;
	}
	vault->root_slot = choice->slot;
	return 0;
}

/* Leaves exactly one valid slot, and what is staged only if it is still to be applied. */
static int settle(struct vault *vault, const struct slots *slots, const struct choice *choice)
{
	int r = settle_slots(vault, slots, choice);

	if (r < 0 || choice->fit == FIT_FORWARD || (r = node_table_any_staged(vault->db)) <= 0)
		return r;
	r = db_begin(vault->db);
	if (r == 0)
		r = epoch_discard(vault);
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
	struct choice choice;
	int r = slots ? db_vault_get(vault->db, &row) : -RE_MLOCK;

	if (r < 0)
		return cannot(vault, r, "read which vault this is", errors);
	memset(slots, 0, sizeof(*slots));
	r = read_slots(vault, slots, errors);
	if (r < 0)
		return r;
	r = choose(vault, &row, slots, &choice);
	if (r < 0)
		return cannot(vault, r, "compare root slots and database", errors);
	if (choice.fit == FIT_NOT)
		return refuse(vault, &row, slots, errors);
	const struct root_record *chosen = &slots->of[choice.member][choice.slot].record;
	r = check_newer(vault, slots, chosen, errors);
	if (r == 0)
		r = check_witness(vault, chosen->epoch, errors);
	if (r < 0)
		return r;
	r = settle(vault, slots, &choice);
	if (r == 0)
		r = take_root(vault, chosen, choice.fit, ret_forward);
	return cannot(vault, r, "bring root slots and database together", errors);
}
