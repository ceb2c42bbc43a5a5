#include "tests/unit/keeper/epoch_model_parts.h"

#include <stddef.h>

/* The steps: each false when there is no such choice. */

/* An error is returned: to whoever asked, or out of the start, which then fails. */
static void give_up(const struct model_config *config, struct model *m)
{
	if (m->recovering) {
		model_crash(config, m);
		return;
	}
	m->next = m->attempt = m->request = 0;
	m->pc = PC_IDLE;
}

enum fit { FIT_NOT, FIT_PRESENT, FIT_FORWARD };

static enum fit fit_of(const struct model *m, const struct model_slot *slot)
{
	if (slot->root && slot->epoch == m->epoch && slot->root == m->present.l_under)
		return FIT_PRESENT;
	if (slot->root && slot->epoch == m->epoch + 1 && m->staged_parents &&
			slot->root == m->staged.l_under)
		return FIT_FORWARD;
	return FIT_NOT;
}

static bool plant(struct model *m)
{
	if (m->slot[0].root || m->slot[1].root || m->drawn == MODEL_GENERATIONS - 1)
		return false;
	m->slot[0] = model_slot_of(++m->drawn, m->epoch);
	m->present.l_under = m->drawn;
	return true;
}

static bool on_down(const struct model_config *config, struct model *m, unsigned choice)
{
	enum fit best = FIT_NOT;

	if (choice != 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		enum fit fit = fit_of(m, &m->slot[i]);
		if (fit > best) {
			best = fit;
			m->active = (uint8_t)i;
		}
	}
	if (best == FIT_NOT)
		return config->mutant == MUTANT_CLEAR_FIRST_PLANT && plant(m);
	if (m->witness > m->slot[m->active].epoch)
		return false;
	m->forward = best == FIT_FORWARD;
	m->recovering = true;
	m->pc = PC_SETTLE_CLEAR;
	return true;
}

static void settled(const struct model_config *config, struct model *m)
{
	m->next = m->forward ? m->slot[m->active].root : 0;
	m->pc = m->forward ? PC_APPLY : PC_TAKE_ROOT;
	if (!m->forward && m->staged_parents && config->mutant != MUTANT_NO_DISCARD)
		m->pc = PC_SETTLE_DISCARD;
}

static bool on_settle_clear(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok = true;

	if (config->mutant == MUTANT_NO_CLEAR_AT_START) {
		settled(config, m);
		return choice == 0;
	}
	if (!model_write_slot(config, &m->slot[1 - m->active], model_cleared, choice, &ok))
		return false;
	if (!ok)
		model_crash(config, m);
	else if (config->mutant == MUTANT_NO_READ_BACK)
		settled(config, m);
	else
		m->pc = PC_SETTLE_READ;
	return true;
}

static bool on_settle_read(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok;

	if (!model_read_slot(config, &m->slot[1 - m->active], 0, choice, &ok))
		return false;
	if (ok)
		settled(config, m);
	else
		model_crash(config, m);
	return true;
}

static bool on_settle_discard(const struct model_config *config, struct model *m, unsigned choice)
{
	if (choice == COMMIT_DONE) {
		model_discard(m);
		m->pc = PC_TAKE_ROOT;
	} else {
		model_crash(config, m);
	}
	return choice <= COMMIT_ERROR;
}

static void opened(struct model *m)
{
	m->pc = m->noted ? PC_STAGE : PC_IDLE;
	m->recovering = m->noted != 0;
	m->forward = 0;
}

/* Choice 1, here and below: the witness cannot be written, which stops nothing. */
static bool on_take_root(const struct model_config *config, struct model *m, unsigned choice)
{
	(void)config;
	m->root = m->slot[m->active].root;
	if (choice == 0)
		m->witness = m->epoch;
	opened(m);
	return choice <= 1;
}

static bool seal(struct model *m, unsigned recording)
{
	unsigned account = ACCOUNT_OF(recording);

	if (m->sealed & model_bit(recording) ||
			(m->destroyed | m->noted) & model_account_bit(account))
		return false;
	m->sealed |= model_bit(recording);
	m->present.recording_under[recording] = m->present.account[account];
	model_note_rows(m, &m->present);
	return true;
}

static bool ask(struct model *m, unsigned target)
{
	uint8_t gone = (uint8_t)(m->destroyed | model_covered(m->noted));
	bool exists = target >= MODEL_RECORDINGS || m->sealed & model_bit(target);

	if (!exists || gone & model_bit(target))
		return false;
	m->request = model_bit(target);
	m->pc = PC_STAGE;
	return true;
}

/* A recording is sealed, a target is to be erased, or what is pending is tried again. */
static bool on_idle(const struct model_config *config, struct model *m, unsigned choice)
{
	unsigned target = choice - MODEL_RECORDINGS;

	if (choice < MODEL_RECORDINGS)
		return config->targets & model_bit(choice) && seal(m, choice);
	if (target < MODEL_TARGETS)
		return config->targets & model_bit(target) && ask(m, target);
	m->pc = PC_STAGE;
	return target == MODEL_TARGETS && m->noted;
}

static bool clears_first(const struct model_config *config)
{
	return config->mutant == MUTANT_CLEAR_FIRST || config->mutant == MUTANT_CLEAR_FIRST_PLANT;
}

static bool on_stage(const struct model_config *config, struct model *m, unsigned choice)
{
	uint8_t noted = m->noted;

	if (m->drawn >= config->generations || choice > COMMIT_ERROR)
		return false;
	if (m->staged_parents) { /* -EEXIST: what is staged is not to be mixed */
		give_up(config, m);
		return choice == 0;
	}
	m->noted |= m->request;
	model_stage_rows(config, m, ++m->drawn);
	if (choice == COMMIT_ERROR) {
		model_discard(m);
		m->noted = noted;
		give_up(config, m);
		return true;
	}
	if (config->mutant == MUTANT_TOMBSTONE_EARLY)
		m->destroyed |= model_covered(m->noted);
	m->next = m->drawn;
	m->pc = clears_first(config) ? PC_CLEAR_OLD : PC_WRITE_NEW;
	return true;
}

static void go_apply(struct model *m)
{
	m->active = 1 - m->active;
	m->attempt = m->partial = 0;
	m->pc = PC_APPLY;
}

static void new_is_there(const struct model_config *config, struct model *m)
{
	if (config->mutant == MUTANT_RECEIPT_EARLY)
		m->receipts |= model_covered(m->request);
	if (clears_first(config))
		go_apply(m);
	else
		m->pc = PC_CLEAR_OLD;
}

static void old_is_gone(const struct model_config *config, struct model *m)
{
	if (clears_first(config))
		m->pc = PC_WRITE_NEW;
	else
		go_apply(m);
}

static bool on_write_new(const struct model_config *config, struct model *m, unsigned choice)
{
	struct model_slot content = model_slot_of(m->next, m->epoch + 1);
	bool ok;

	if (choice == CHOICE_NO_ROOM) {
		m->pc = PC_DISCARD;
		return !clears_first(config);
	}
	if (!model_write_slot(config, &m->slot[1 - m->active], content, choice, &ok))
		return false;
	if (!ok)
		m->pc = PC_UNWRITE;
	else if (config->mutant == MUTANT_NO_READ_BACK)
		new_is_there(config, m);
	else
		m->pc = PC_READ_NEW;
	return true;
}

static bool on_read_new(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok;

	if (!model_read_slot(config, &m->slot[1 - m->active], m->next, choice, &ok))
		return false;
	if (ok)
		new_is_there(config, m);
	else
		m->pc = PC_UNWRITE;
	return true;
}

/* The new root is taken back: it could not be written. */
static bool on_take_back(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok;

	if (!model_write_slot(config, &m->slot[1 - m->active], model_cleared, choice, &ok))
		return false;
	if (!ok)
		model_crash(config, m);
	else if (config->mutant == MUTANT_NO_READ_BACK)
		m->pc = PC_DISCARD;
	else
		m->pc = PC_UNWRITE_READ;
	return true;
}

static bool on_take_back_read(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok;

	if (!model_read_slot(config, &m->slot[1 - m->active], 0, choice, &ok))
		return false;
	if (ok)
		m->pc = PC_DISCARD;
	else
		model_crash(config, m);
	return true;
}

/* Once more; then the new root is in use, and nothing is destroyed yet. */
static void old_is_not_gone(const struct model_config *config, struct model *m)
{
	if (m->attempt++ == 0) {
		m->pc = PC_CLEAR_OLD;
	} else if (config->mutant == MUTANT_DISCARD_IN_DOUBT) {
		m->pc = PC_DISCARD;
	} else {
		go_apply(m);
		m->partial = config->mutant != MUTANT_FINISH_IN_DOUBT;
	}
}

static bool on_clear_old(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok;

	if (!model_write_slot(config, &m->slot[m->active], model_cleared, choice, &ok))
		return false;
	if (!ok)
		old_is_not_gone(config, m);
	else if (config->mutant == MUTANT_NO_READ_BACK)
		old_is_gone(config, m);
	else
		m->pc = PC_READ_OLD;
	return true;
}

static bool on_read_old(const struct model_config *config, struct model *m, unsigned choice)
{
	bool ok;

	if (!model_read_slot(config, &m->slot[m->active], 0, choice, &ok))
		return false;
	if (ok)
		old_is_gone(config, m);
	else
		old_is_not_gone(config, m);
	return true;
}

static bool on_discard(const struct model_config *config, struct model *m, unsigned choice)
{
	if (choice == COMMIT_DONE) {
		model_discard(m);
		give_up(config, m);
	} else {
		model_crash(config, m);
	}
	return choice <= COMMIT_ERROR;
}

static bool on_apply(const struct model_config *config, struct model *m, unsigned choice)
{
	if (choice == COMMIT_DONE) {
		model_apply_rows(m);
		if (!m->partial) {
			m->destroyed |= model_covered(m->noted);
			m->noted = 0;
		}
		m->epoch++;
		m->pc = PC_ENTER;
	} else {
		model_crash(config, m);
	}
	return choice <= COMMIT_ERROR;
}

static bool on_enter(const struct model_config *config, struct model *m, unsigned choice)
{
	m->root = m->next;
	m->next = 0;
	if (choice == 0)
		m->witness = m->epoch;
	if (m->partial)
		give_up(config, m);
	else if (m->request)
		m->pc = PC_RECEIPT;
	else
		opened(m);
	return choice <= 1;
}

static bool on_receipt(const struct model_config *config, struct model *m, unsigned choice)
{
	(void)config;
	m->receipts |= model_covered(m->request);
	m->request = 0;
	m->pc = PC_IDLE;
	return choice == 0;
}

typedef bool (*step)(const struct model_config *config, struct model *m, unsigned choice);

static const step steps[PCS] = {
		[PC_DOWN] = on_down,
		[PC_SETTLE_CLEAR] = on_settle_clear,
		[PC_SETTLE_READ] = on_settle_read,
		[PC_SETTLE_DISCARD] = on_settle_discard,
		[PC_TAKE_ROOT] = on_take_root,
		[PC_IDLE] = on_idle,
		[PC_STAGE] = on_stage,
		[PC_WRITE_NEW] = on_write_new,
		[PC_READ_NEW] = on_read_new,
		[PC_UNWRITE] = on_take_back,
		[PC_UNWRITE_READ] = on_take_back_read,
		[PC_CLEAR_OLD] = on_clear_old,
		[PC_READ_OLD] = on_read_old,
		[PC_DISCARD] = on_discard,
		[PC_APPLY] = on_apply,
		[PC_ENTER] = on_enter,
		[PC_RECEIPT] = on_receipt,
};

bool model_step(const struct model_config *config, const struct model *model, unsigned choice,
		struct model *ret_next)
{
	struct model m = *model;

	if (choice == CHOICE_CRASH) {
		if (m.pc == PC_DOWN)
			return false;
		model_crash(config, &m);
	} else if (!steps[m.pc](config, &m, choice)) {
		return false;
	}
	model_note_roots(&m);
	*ret_next = m;
	return true;
}
