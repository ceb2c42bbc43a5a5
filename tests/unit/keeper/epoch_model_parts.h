/* The model's storage, rows and adversary, for its steps. */
#pragma once

#include "tests/unit/keeper/epoch_model.h"

#define ACCOUNT_OF(recording) ((recording) / MODEL_PER_ACCOUNT)

/* Choices of a slot write, a read and a transaction; "not" and "torn" without an error are lies. */
enum {
	WRITE_DONE,
	WRITE_DONE_ERROR,
	WRITE_NOT_ERROR,
	WRITE_TORN_ERROR,
	WRITE_NOT,
	WRITE_TORN,
	WRITE_LATE_ERROR,
	CHOICE_NO_ROOM,
};
enum { READ_TRUE, READ_ERROR, READ_CACHED };
enum { COMMIT_DONE, COMMIT_ERROR };
#define CHOICE_CRASH (MODEL_CHOICES - 1)

uint8_t model_bit(unsigned i);
uint8_t model_account_bit(unsigned account);
/* The targets, and what is below them. */
uint8_t model_covered(uint8_t targets);

/* The adversary takes note: of rows, and of the roots to be had now. */
void model_note_rows(struct model *m, const struct model_rows *rows);
void model_note_roots(struct model *m);

extern const struct model_slot model_cleared;
struct model_slot model_slot_of(uint8_t root, uint8_t epoch);
/* False when there is no such choice; else *ret_ok is what is reported, or whether what was written
 * is found again (root 0: cleared). */
bool model_write_slot(const struct model_config *config, struct model_slot *slot,
		struct model_slot content, unsigned choice, bool *ret_ok);
bool model_read_slot(const struct model_config *config, const struct model_slot *slot, uint8_t root,
		unsigned choice, bool *ret_ok);

void model_discard(struct model *m);
/* Memory is gone. Also where the keeper stops by itself: only a start can tell what there is. */
void model_crash(const struct model_config *config, struct model *m);

/* As keytree_stage() and node_table_apply_staged(), the latter with rows below the erased
 * dropped. */
void model_stage_rows(const struct model_config *config, struct model *m, uint8_t fresh);
void model_apply_rows(struct model *m);
