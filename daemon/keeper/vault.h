/* A vault: the keeper's state, opened. Everything in the keeper works on one of these; none of it
 * is thread-safe, all of it runs on the loop's thread. */
#pragma once

#include <stdio.h>

#include "base/clock.h"
#include "daemon/common/config.h"
#include "storage/catalog.h"
#include "storage/db.h"
#include "storage/object_store.h"
#include "storage/root_set.h"

struct keytree;
struct spool_places;

struct vault {
	const struct config *config;
	struct clock clock;
	int dir_fd;  /* the keeper's directory */
	int lock_fd; /* held: one keeper per state */
	struct db *db;
	struct root_set *root;
	unsigned root_slot; /* the active one */
	struct keytree *tree;
	struct object_store *store;
	struct spool_places *places; /* spool_places.h; NULL until the first recording */
	uint8_t vault_id[VAULT_ID_BYTES];
	int64_t quarantine_account;
	int64_t latest_us; /* the latest time this vault has seen (vault_now_us) */
	/* What slots and database hold, or whether they agree, only a restart can tell: the keeper
	 * must stop. */
	bool stuck;
	bool witness_owed;    /* the object folder has not seen this epoch yet: no room, perhaps */
	char last_error[256]; /* for status: the last thing that went wrong, "" for nothing */
};

/* Opens the vault below the configured directories, or makes a new one when the keeper's directory
 * is empty. Finishes what a crash left under way. accept_restored is 0, or the epoch at which a
 * copied root file is to be accepted. On failure a sentence saying what, where and what to do is
 * written to errors. 0; -RE_BUSY; -RE_EPOCH, -RE_MOVED (resurrection guard); -RE_NO_ROOT;
 * -RE_CORRUPT; -errno. */
int vault_open(const struct config *config, struct clock clock, uint64_t accept_restored,
	FILE *errors, struct vault **ret_vault);
struct vault *vault_close(struct vault *vault);

uint64_t vault_epoch(const struct vault *vault);

/* The time for what is sealed: the clock, but never earlier than what the vault has seen already. A
 * recording sealed while the clock is behind would else be due as soon as it is put right. */
int64_t vault_now_us(struct vault *vault);

/* Notes a trouble for status. */
void vault_trouble(struct vault *vault, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
