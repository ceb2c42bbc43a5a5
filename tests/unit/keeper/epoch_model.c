#include "tests/unit/keeper/epoch_model_parts.h"

#include <stddef.h>
#include <string.h>

#define RECOVERY_STEPS_MAX 64

/* Staged parents. */
enum { PARENT_ROOT = 1, PARENT_L = 2, PARENT_ACCOUNT = 4 };

uint8_t model_bit(unsigned i)
{
	return (uint8_t)(1u << i);
}

uint8_t model_account_bit(unsigned account)
{
	return model_bit(MODEL_RECORDINGS + account);
}

/* The targets, and what is below them. */
uint8_t model_covered(uint8_t targets)
{
	for (unsigned i = 0; i < MODEL_RECORDINGS; i++) {
		if (targets & model_account_bit(ACCOUNT_OF(i)))
			targets |= model_bit(i);
	}
	return targets;
}

/* The adversary. */

/* Rows count from the moment they may reach the medium, whether or not they are committed. */
void model_note_rows(struct model *m, const struct model_rows *rows)
{
	if (rows->l_under)
		m->root_opens[rows->l_under] |= model_bit(rows->l);
	for (unsigned i = 0; i < MODEL_ACCOUNTS; i++) {
		if (rows->account_under[i])
			m->l_opens[i][rows->account_under[i]] |= model_bit(rows->account[i]);
	}
	for (unsigned i = 0; i < MODEL_RECORDINGS; i++) {
		if (rows->recording_under[i])
			m->recording_under[i] |= model_bit(rows->recording_under[i]);
	}
}

/* After a receipt the host is the adversary's too: memory counts. A tombstone is written by a
 * process that still holds the old root for a moment; storage is what must not lead there. */
void model_note_roots(struct model *m)
{
	uint8_t stored = m->slot[0].legible | m->slot[1].legible;
	uint8_t held = (uint8_t)(model_bit(m->root) | model_bit(m->next));

	for (unsigned i = 0; i < MODEL_TARGETS; i++) {
		if (m->receipts & model_bit(i))
			m->roots_since[i] |= stored | held;
		else if (m->destroyed & model_bit(i))
			m->roots_since[i] |= stored;
	}
}

static uint8_t opened_by(const uint8_t opens[static MODEL_GENERATIONS], uint8_t keys)
{
	uint8_t opened = 0;

	for (unsigned i = 1; i < MODEL_GENERATIONS; i++) {
		if (keys & model_bit(i))
			opened |= opens[i];
	}
	return opened;
}

static bool reaches(const struct model *m, unsigned target, uint8_t roots)
{
	bool is_account = target >= MODEL_RECORDINGS;
	unsigned account = is_account ? target - MODEL_RECORDINGS : ACCOUNT_OF(target);
	uint8_t l = opened_by(m->root_opens, roots);
	uint8_t accounts = opened_by(m->l_opens[account], l);

	return is_account ? accounts != 0 : (accounts & m->recording_under[target]) != 0;
}

/* Storage. */

const struct model_slot model_cleared;

struct model_slot model_slot_of(uint8_t root, uint8_t epoch)
{
	return (struct model_slot){.root = root, .epoch = epoch, .legible = model_bit(root)};
}

static void tear(struct model_slot *slot, const struct model_slot *content)
{
	*slot = (struct model_slot){.legible = slot->legible | content->legible};
}

bool model_write_slot(const struct model_config *config, struct model_slot *slot,
		struct model_slot content, unsigned choice, bool *ret_ok)
{
	bool lie = choice == WRITE_NOT || choice == WRITE_TORN;

	if (choice > WRITE_LATE_ERROR || (lie && !(config->medium & MEDIUM_LIES)) ||
			(choice == WRITE_LATE_ERROR && !(config->medium & MEDIUM_LATE)))
		return false;
	if (choice == WRITE_DONE || choice == WRITE_DONE_ERROR) {
		*slot = content;
	} else if (choice == WRITE_TORN || choice == WRITE_TORN_ERROR) {
		tear(slot, &content);
	} else if (choice == WRITE_LATE_ERROR) {
		slot->late = content.root ? content.epoch : 1;
		slot->late_root = content.root;
	}
	*ret_ok = choice == WRITE_DONE || lie;
	return true;
}

/* Whether what was written is found again; random bytes are as good as any others. */
bool model_read_slot(const struct model_config *config, const struct model_slot *slot, uint8_t root,
		unsigned choice, bool *ret_ok)
{
	if (choice > READ_CACHED || (choice == READ_CACHED && !(config->medium & MEDIUM_CACHED)))
		return false;
	bool same = root ? slot->root == root : slot->legible == 0;
	*ret_ok = choice == READ_CACHED || (choice == READ_TRUE && same);
	return true;
}

static void land(struct model_slot *slot)
{
	if (slot->late)
		*slot = slot->late_root ? model_slot_of(slot->late_root, slot->late)
					: model_cleared;
}

void model_discard(struct model *m)
{
	m->staged = (struct model_rows){0};
	m->staged_parents = 0;
}

/* Memory is gone. Also where the keeper stops by itself: only a start can tell what there is. */
void model_crash(const struct model_config *config, struct model *m)
{
	land(&m->slot[0]);
	land(&m->slot[1]);
	if (config->mutant == MUTANT_STAGE_NOT_DURABLE)
		model_discard(m);
	m->pc = PC_DOWN;
	m->root = m->next = m->active = m->forward = m->attempt = m->recovering = m->request = 0;
	m->partial = 0;
}

/* Staging and applying. */

static void stage_account(const struct model_config *config, struct model *m, unsigned account,
		uint8_t victims, uint8_t fresh)
{
	bool remembered = config->mutant != MUTANT_FORGET_SIBLING;

	m->staged_parents |= (uint8_t)(PARENT_ACCOUNT << account);
	for (unsigned i = 0; i < MODEL_RECORDINGS; i++) {
		if (ACCOUNT_OF(i) == account && m->present.recording_under[i] &&
				!(victims & model_bit(i)) && remembered)
			m->staged.recording_under[i] = fresh;
	}
}

/* As keytree_stage(): every ancestor of a victim is fresh, its other children sealed again. */
void model_stage_rows(const struct model_config *config, struct model *m, uint8_t fresh)
{
	uint8_t victims = model_covered(m->noted);

	m->staged_parents = PARENT_ROOT | PARENT_L;
	m->staged.l_under = fresh;
	m->staged.l = config->mutant == MUTANT_KEEP_L ? m->present.l : fresh;
	for (unsigned i = 0; i < MODEL_ACCOUNTS; i++) {
		uint8_t key = m->present.account[i];
		uint8_t below = (uint8_t)(victims & model_covered(model_account_bit(i)));
		if (!key || victims & model_account_bit(i))
			continue;
		if (below && config->mutant != MUTANT_KEEP_ACCOUNT)
			key = fresh;
		m->staged.account_under[i] = m->staged.l;
		m->staged.account[i] = key;
		if (below)
			stage_account(config, m, i, victims, key);
	}
	model_note_rows(m, &m->staged);
}

/* As node_table_apply_staged(), and the rows below an erased account dropped. */
void model_apply_rows(struct model *m)
{
	if (m->staged_parents & PARENT_ROOT) {
		m->present.l_under = m->staged.l_under;
		m->present.l = m->staged.l;
	}
	for (unsigned i = 0; i < MODEL_ACCOUNTS && m->staged_parents & PARENT_L; i++) {
		m->present.account_under[i] = m->staged.account_under[i];
		m->present.account[i] = m->staged.account[i];
	}
	for (unsigned i = 0; i < MODEL_RECORDINGS; i++) {
		unsigned account = ACCOUNT_OF(i);
		if (m->staged_parents & PARENT_ACCOUNT << account ||
				m->noted & model_account_bit(account))
			m->present.recording_under[i] = m->staged.recording_under[i];
	}
	model_discard(m);
}

/* Properties. */

void model_start(struct model *ret_model)
{
	struct model m = {.epoch = 1, .witness = 1, .sealed = 5, .drawn = 1, .pc = PC_IDLE};

	m.slot[0] = model_slot_of(1, 1);
	m.root = 1;
	m.present = (struct model_rows){.l_under = 1,
			.l = 1,
			.account_under = {1, 1},
			.account = {1, 1},
			.recording_under = {1, 0, 1, 0}};
	model_note_rows(&m, &m.present);
	*ret_model = m;
}

static bool opens(const struct model *m, uint8_t root, unsigned recording)
{
	const struct model_rows *rows = &m->present;
	unsigned account = ACCOUNT_OF(recording);

	return root && rows->l_under == root && rows->account_under[account] == rows->l &&
	       rows->l && rows->recording_under[recording] == rows->account[account] &&
	       rows->account[account];
}

static unsigned check_live(const struct model *m)
{
	uint8_t live = m->sealed & (uint8_t) ~(m->destroyed | model_covered(m->noted));

	for (unsigned i = 0; i < MODEL_RECORDINGS; i++) {
		if (live & model_bit(i) && !opens(m, m->root, i))
			return P1_LIVE_OPENS;
	}
	return 0;
}

/* What must hold whenever the keeper is at rest. */
static unsigned check_idle(const struct model *m)
{
	const struct model_slot *slot = &m->slot[m->active], *other = &m->slot[1 - m->active];
	bool settled = slot->root == m->present.l_under && slot->root == m->root &&
		       slot->epoch == m->epoch && (!other->root || m->partial) &&
		       !m->staged_parents;

	return settled ? 0 : P3_RECOVERS;
}

/* A start on a medium that does as it is told, from what a crash right now would leave. */
static unsigned check_recovery(const struct model_config *config, const struct model *model)
{
	struct model_config quiet = *config;
	struct model m = *model, next;
	unsigned broken = 0;

	quiet.generations++;
	for (unsigned i = 0; i < RECOVERY_STEPS_MAX; i++) {
		if (!model_step(&quiet, &m, 0, &next))
			return broken | P1_LIVE_OPENS | P3_RECOVERS;
		broken |= model_check_step(&m, &next);
		m = next;
		if (m.pc == PC_IDLE)
			return broken | check_idle(&m) | check_live(&m) |
			       (m.noted ? P3_RECOVERS : 0);
	}
	return P3_RECOVERS;
}

unsigned model_check(const struct model_config *config, const struct model *m)
{
	unsigned broken = m->receipts & ~m->destroyed ? P5_RECEIPT_HOLDS : 0;

	for (unsigned i = 0; i < MODEL_TARGETS; i++) {
		if (reaches(m, i, m->roots_since[i]))
			broken |= P2_DESTROYED_STAYS;
	}
	if (m->pc == PC_IDLE)
		broken |= check_idle(m) | check_live(m);
	if (m->pc == PC_DOWN)
		broken |= check_recovery(config, m);
	return broken;
}

unsigned model_check_step(const struct model *from, const struct model *to)
{
	unsigned broken = from->destroyed & ~to->destroyed ? P5_RECEIPT_HOLDS : 0;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t root = to->slot[i].root;
		bool step_2 = from->pc == PC_WRITE_NEW && root == from->next && from->noted;
		if (root && root != from->slot[i].root && !step_2)
			broken |= P4_NO_NEW_ROOT;
	}
	return broken;
}
