/* A vault: the keeper's state, opened. Everything in the keeper works on one of these; none of it
 * is thread-safe, all of it runs on the loop's thread. */
#pragma once

#include "base/clock.h"
#include "daemon/common/config/config.h"
#include "storage/objects/object_store.h"
#include "storage/root/root_set.h"
#include "storage/tables/catalog.h"
#include "storage/tables/db.h"

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

uint64_t vault_epoch(const struct vault *vault);

/* The time for what is sealed: the clock, but never earlier than what the vault has seen already. A
 * recording sealed while the clock is behind would else be due as soon as it is put right. */
int64_t vault_now_us(struct vault *vault);

/* Notes a trouble for status. */
void vault_trouble(struct vault *vault, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
