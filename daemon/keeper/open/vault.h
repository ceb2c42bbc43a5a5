/* An open vault: what its parts are, for the floors that show all of it (control/) and for main.c.
 * The floors below each get the part they need, never the vault.
 *
 * Nothing in it is thread-safe; all of it runs on the loop's thread. */
#pragma once

#include "daemon/common/notice.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/ingest/ingest.h"
#include "daemon/keeper/root/root.h"
#include "daemon/keeper/vault/predecessors.h"
#include "daemon/keeper/vault/vault_clock.h"

struct config;

struct vault {
	const struct config *config; /* borrowed */
	int dir_fd;                  /* the keeper's directory */
	int lock_fd;                 /* held: one keeper per state */
	struct db *db;
	struct object_store *store;
	struct predecessors *predecessors;
	struct vault_clock clock;
	struct notices notices; /* where the floors' notices go; the last problem, for status */
	int64_t quarantine_account;
	/* What the floors work on; they borrow from the above. */
	struct root root;
	struct eraser eraser;
	struct ingest ingest;
};

/* Takes NULL; returns NULL. */
struct vault *vault_close(struct vault *vault);

uint64_t vault_epoch(const struct vault *vault);
