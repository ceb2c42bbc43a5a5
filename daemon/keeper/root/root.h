/* The root of a vault: the key that the whole key tree hangs from, where its copies are, and the
 * tree under it.
 *
 * The copies are the keeper's own, the main one (root_main.h), and its mirrors (mirrors.h). They
 * change in epochs only (epoch.h). */
#pragma once

#include "base/clock.h"
#include "daemon/common/notice.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/audit_log.h"
#include "storage/objects/object_store.h"
#include "storage/root/root_set.h"

/* From the configuration; borrowed. */
struct root_settings {
	const char *keeper_dir, *objects_dir; /* for messages */
	const char *kind;                     /* Root=: "file" or "tpm2" */
	const char *tpm_device;               /* TpmDevice=; NULL: the TPM library's default */
	const char *require_assurance;        /* RequireAssurance=; NULL: any */
	int64_t away_limit_us;                /* AwayLimit= */
};

/* What is known of the folder of objects (objects_place.h). */
enum objects_state { OBJECTS_UNSEEN, OBJECTS_THERE, OBJECTS_AWAY };

struct root {
	struct root_settings settings;
	struct clock clock;   /* for what people read */
	struct clock counted; /* for what is due: never ahead of the true time (vault_clock.h) */
	struct notices *notices;
	struct audit_log audit;
	struct db *db;
	struct object_store *store; /* keeps the witness of the epoch */
	int dir_fd;                 /* the keeper's directory */
	uint8_t vault_id[VAULT_ID_BYTES];
	struct root_set *copies; /* member 0 is the main copy */
	unsigned slot;           /* the active one, of every copy */
	struct keytree *tree;    /* NULL until the root is known */
	/* Only a restart can tell what the slots hold, or whether they agree with the database. Ask
	 * root_is_stuck(). */
	bool stuck;
	enum objects_state objects;
	/* The object folder has not all reminders of this epoch (reminder.h). */
	bool reminders_owed;
	bool witness_owed; /* the object folder has not seen this epoch yet: no room, perhaps */
};

/* Whether the keeper must stop, and only a restart can go on: `stuck`, or the database is in
 * doubt. */
bool root_is_stuck(const struct root *root);

/* Of the tree, which must be known. */
uint64_t root_epoch(const struct root *root);

/* The catalog's rows are believed, and written, under the key that this root leads to (row_mac.h);
 * staged: through what is staged, before that is applied. Once, and before any row is acted on. */
int root_trust_rows(struct root *root, bool staged, const uint8_t key[static NODE_KEY_BYTES],
		bool created);

/* Frees tree and copies, not what is borrowed. */
void root_close(struct root *root);
