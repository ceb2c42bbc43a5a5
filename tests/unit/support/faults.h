/* A medium that fails, lies or ends the process at the k-th operation: around the root slots of a
 * vault, and around all of SQLite's writing. */
#pragma once

#include "daemon/keeper/open/vault.h"

enum fault {
	FAULT_NONE,
	FAULT_EXIT_BEFORE, /* the process ends: before the operation, */
	FAULT_EXIT_TORN,   /* with half of it done, */
	FAULT_EXIT_AFTER,  /* or right after it */
	FAULT_EIO,         /* it is refused, and nothing done */
	FAULT_EIO_TORN,    /* it is refused, with half of it done */
	FAULT_EIO_AFTER,   /* it is refused, and done all the same */
	FAULT_LIE,         /* success, and nothing done; a read gives other bytes */
};

#define FAULT_EXIT_CODE 42 /* of a process that ended so */

/* From now on counts operations from 0, and puts the fault on n of them from number `at` on. */
#define FAULTS_ALWAYS 1000000u
void faults_arm(enum fault fault, unsigned at, unsigned n);
/* Operations since then; no more faults. */
unsigned faults_disarm(void);

/* Puts the faulty medium between the vault and its root slots, until the vault is closed: those of
 * the keeper's own place, or of one member. */
void faults_on_root(struct vault *vault);
void faults_on_member(struct vault *vault, size_t i);
/* Makes the faulty medium SQLite's own, for databases opened from now on: writes, truncations and
 * syncs. Or ends that. */
void faults_on_database(bool on);
