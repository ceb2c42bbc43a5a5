/* The epoch commit (daemon/keeper/root/epoch.h, erasure.h) as a small state machine over abstract
 * storage: every state is a plain value, and every step is a choice among what the medium and the
 * crash may do. No code of the product is in it: it is about the design, not about its writing.
 *
 * Cryptography is symbolic. A key is (node, generation): each attempt to commit draws one
 * generation for all that it re-keys. A row is an edge from the key it is sealed under to the key
 * in it. Tree: root -> L -> two accounts -> two recordings each.
 *
 * The medium: a transaction is atomic (one that fails and yet turns up at the next start is a crash
 * right after it); a slot write is done, or not done, or torn, and may be reported as failed in
 * each case; a read is true or fails. What that leaves out is a set of its own, enum model_medium,
 * and what depends on it is tested as well. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MODEL_GENERATIONS 8 /* 0: none */
#define MODEL_RECORDINGS  4
#define MODEL_ACCOUNTS    2
#define MODEL_PER_ACCOUNT (MODEL_RECORDINGS / MODEL_ACCOUNTS)
#define MODEL_TARGETS     (MODEL_RECORDINGS + MODEL_ACCOUNTS) /* of erasures */
#define MODEL_ALL_TARGETS 63u
#define MODEL_CHOICES     12 /* of one step; not all of them exist everywhere */

/* What is wrong with the machine: each is a mistake that one could make in writing it. */
enum model_mutant {
	MUTANT_NONE,
	MUTANT_RECEIPT_EARLY,     /* as soon as the new root is read back */
	MUTANT_TOMBSTONE_EARLY,   /* in the transaction that stages */
	MUTANT_CLEAR_FIRST,       /* the old slot, before the new one is written */
	MUTANT_CLEAR_FIRST_PLANT, /* and a start that finds no root makes one */
	MUTANT_STAGE_NOT_DURABLE, /* a crash loses what is staged and not yet applied */
	MUTANT_NO_CLEAR_AT_START, /* recovery leaves the other slot as it is */
	MUTANT_NO_DISCARD,        /* recovery leaves a void stage as it is */
	MUTANT_NO_READ_BACK,      /* what a slot write reports is believed */
	MUTANT_KEEP_L,            /* this ancestor of the erased is not re-keyed */
	MUTANT_KEEP_ACCOUNT,      /* nor this one */
	MUTANT_FORGET_SIBLING,    /* a recording that stays is not sealed again */
	MUTANT_DISCARD_IN_DOUBT,  /* the stage, though the old slot may be gone */
	MUTANT_FINISH_IN_DOUBT,   /* tombstones, though the old slot may be there */
	MUTANTS,
};

/* What else the medium does; or-ed. */
enum model_medium {
	MEDIUM_LIES = 1,   /* reports a slot write as done that is not, or torn */
	MEDIUM_LATE = 2,   /* a slot write reported as failed lands at the next crash */
	MEDIUM_CACHED = 4, /* reads back what was written, not what is stored */
};

struct model_config {
	enum model_mutant mutant;
	unsigned medium;
	uint8_t generations; /* drawn at most; below MODEL_GENERATIONS, one is for recovery */
	uint8_t targets;     /* that are ever sealed or erased */
};

/* The properties, as bits. */
enum model_property {
	P1_LIVE_OPENS = 1,      /* every live recording opens after recovery */
	P2_DESTROYED_STAYS = 2, /* from a receipt or tombstone on, no slot leads to the key */
	P3_RECOVERS = 4,    /* recovery ends: one valid slot, that of the database; nothing open */
	P4_NO_NEW_ROOT = 8, /* only step 2 of a commit puts a root into a slot */
	P5_RECEIPT_HOLDS = 16, /* what has a receipt is a tombstone, and stays one */
};

/* Where the keeper is; the names are those of the steps in epoch.c and erasure.c. */
enum model_pc {
	PC_DOWN,
	PC_SETTLE_CLEAR,
	PC_SETTLE_READ,
	PC_SETTLE_DISCARD,
	PC_TAKE_ROOT,
	PC_IDLE,
	PC_STAGE,
	PC_WRITE_NEW,
	PC_READ_NEW,
	PC_UNWRITE,
	PC_UNWRITE_READ,
	PC_CLEAR_OLD,
	PC_READ_OLD,
	PC_DISCARD,
	PC_APPLY,
	PC_ENTER,
	PC_RECEIPT,
	PCS,
};

/* Generations, 0: absent. A row of L is sealed under l_under and holds l; and so on. */
struct model_rows {
	uint8_t l_under, l;
	uint8_t account_under[MODEL_ACCOUNTS], account[MODEL_ACCOUNTS];
	uint8_t recording_under[MODEL_RECORDINGS];
};

struct model_slot {
	uint8_t root, epoch;     /* root 0: not valid */
	uint8_t legible;         /* set of roots that could be read out of it, torn or not */
	uint8_t late, late_root; /* something is still to land; late_root 0: random bytes */
};

/* Bytes only: compared and hashed as memory. Sets of targets: recordings, then accounts. */
struct model {
	/* Durable. */
	struct model_slot slot[2];
	struct model_rows present, staged;
	uint8_t staged_parents; /* root, L, accounts; 0: nothing is staged */
	uint8_t epoch, witness;
	uint8_t sealed, noted, destroyed;
	/* In the world. */
	uint8_t receipts, drawn;
	/* The adversary's: all rows ever written, as sets of what each key opens; and for each
	 * target the roots to be had since its tombstone or receipt. */
	uint8_t root_opens[MODEL_GENERATIONS];
	uint8_t l_opens[MODEL_ACCOUNTS][MODEL_GENERATIONS];
	uint8_t recording_under[MODEL_RECORDINGS];
	uint8_t roots_since[MODEL_TARGETS];
	/* Volatile. */
	uint8_t pc, root, next, active, forward, attempt, recovering, request;
	uint8_t partial; /* began this epoch with the last one's root perhaps left */
};

/* A new vault at epoch 1, with one recording in each account. */
void model_start(struct model *ret_model);

/* One step; false when there is no such choice. Choice 0 is always "all goes well". */
bool model_step(const struct model_config *config, const struct model *model, unsigned choice,
		struct model *ret_next);

/* Properties (bits) that this state violates, and those that the step into `to` does. */
unsigned model_check(const struct model_config *config, const struct model *model);
unsigned model_check_step(const struct model *from, const struct model *to);
