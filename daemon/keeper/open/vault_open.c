#include "daemon/keeper/open/vault_open.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/root_main.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/predecessors.h"

/* This file is there while a new vault is being made: nothing beside it was used yet. */
#define CREATING "creating"
/* Objects younger than the newest catalogued one by less than this may have been in progress at a
 * crash. */
#define SWEEP_BACK_MS (24 * 3600 * UINT64_C(1000))

static int open_explain(struct reason *reason, int r, const char *what, const char *path)
{
	return reason_set_error(reason, r, "%s %s", what, path);
}

/* Makes the directories of an embedded vault; an installed one's are made by the package. */
static int open_make_directories(const struct config *config, struct reason *reason)
{
	const char *paths[] = {config->keeper_dir, config->objects_dir, config->socket_dir};
	const mode_t modes[] = {0700, 0750, 0755};

	for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
		_cleanup_free_ char *path = strdup(paths[i]);
		if (!path)
			return -ENOMEM;
		for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
			*p = '\0';
			/* A failure shows below, with the path that matters. */
			mkdir(path, 0755);
			*p = '/';
		}
		if (mkdir(path, modes[i]) < 0 && errno != EEXIST)
			return open_explain(reason, -errno, "cannot make directory", path);
	}
	return 0;
}

static int open_take_lock(struct vault *vault, struct reason *reason)
{
	const char *dir = vault->config->keeper_dir;

	vault->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (vault->dir_fd < 0)
		return open_explain(reason, -errno, "cannot open the keeper's directory", dir);
	vault->lock_fd = openat(
			vault->dir_fd, "lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (vault->lock_fd < 0)
		return open_explain(reason, -errno, "cannot open the lock file in", dir);
	/* Held as long as the keeper runs: two keepers would write to the same root slots. */
	if (flock(vault->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return open_explain(reason, -errno, "cannot lock", dir);
	return reason_set(reason, -RE_BUSY,
			"another recseal-keeper is running on %s; stop it first", dir);
}

static bool open_exists(struct vault *vault, const char *name)
{
	struct stat st;

	return fstatat(vault->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Each floor borrows what it needs. */
static void open_connect_parts(struct vault *vault)
{
	const struct config *config = vault->config;

	vault->root = (struct root){
			.settings = {.keeper_dir = config->keeper_dir,
					.objects_dir = config->objects_dir,
					.kind = config->root,
					.tpm_device = config->tpm_device,
					.require_assurance = config->require_assurance,
					.away_limit_us = config->away_limit_us},
			.clock = vault->clock.told,
			.counted = vault->clock.counted,
			.notices = &vault->notices,
			.dir_fd = vault->dir_fd,
			.store = vault->store,
	};
	vault->eraser = (struct eraser){&vault->root, vault->predecessors};
	vault->ingest = (struct ingest){.root = &vault->root,
			.clock = &vault->clock,
			.predecessors = vault->predecessors,
			.config = config};
}

static void open_connect_db(struct vault *vault)
{
	vault->root.db = vault->db;
	vault->root.audit = (struct audit_log){vault->db, vault->clock.told};
}

static void open_connect_tree(struct vault *vault)
{
	vault->ingest.recordings = (struct recordings){
			vault->root.tree, vault->store, vault->quarantine_account};
}

/* A new vault. */

/* Every child of the root exists from the start, so that the digest of the top changes with the
 * epoch only. */
static int create_grow_top(struct vault *vault)
{
	struct key_path lookup = key_path_lookup();
	int r = keytree_add(vault->root.tree, &lookup, NULL, NULL);

	for (unsigned i = 0; i < KEY_RADIX && r == 0; i++) {
		struct key_path path = key_path_l0(i);
		r = keytree_add(vault->root.tree, &path, NULL, NULL);
	}
	return r;
}

static int create_plant(struct vault *vault)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	_cleanup_secret_ uint8_t *root = secret_new(ROOT_KEY_BYTES);
	struct vault_row row = {.epoch = 1};

	if (!record || !root)
		return -RE_MLOCK;
	int r = vault_clock_create(&vault->clock, vault->db);
	if (r < 0)
		return r;
	row.created_us = vault_clock_told_us(&vault->clock);
	randombytes_buf(root, ROOT_KEY_BYTES);
	randombytes_buf(row.vault_id, sizeof(row.vault_id));
	memcpy(vault->root.vault_id, row.vault_id, sizeof(row.vault_id));
	vault->root.tree = keytree_new(vault->db, root, 1);
	r = vault->root.tree ? db_vault_put(vault->db, &row) : -RE_MLOCK;
	if (r == 0)
		r = create_grow_top(vault);
	if (r == 0)
		/* Needed by the first recording of an unknown account. */
		r = accounts_create_quarantine(
				vault->root.tree, row.created_us, &vault->quarantine_account);
	if (r == 0)
		/* Last: its digest and anchor cover everything above. */
		r = epoch_first(&vault->root, root, record);
	if (r < 0)
		return r;
	memcpy(row.anchor, record->anchor, sizeof(row.anchor));
	return db_vault_put(vault->db, &row);
}

static int create_remove_remains(struct vault *vault)
{
	static const char *const names[] = {"keeper.db", "keeper.db-wal", "keeper.db-shm"};
	/* Never used, since CREATING is still there: no recording was sealed under it. */
	int r = root_main_remove(&vault->root);

	for (size_t i = 0; i < ELEMENTSOF(names) && r == 0; i++)
		r = durable_unlink(vault->dir_fd, names[i]);
	return r < 0 ? r : durable_sync(vault->dir_fd);
}

static int create_files(struct vault *vault, struct reason *reason)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = mirrors_create(&vault->root, reason);

	if (r == 0)
		r = db_create(vault->config->keeper_dir, &vault->db);
	if (r == 0)
		open_connect_db(vault);
	if (r == 0)
		/* The root is made before the rows that need it; until the commit the vault does
		 * not exist. */
		r = db_transaction_begin(&transaction, vault->db);
	if (r == 0)
		r = create_plant(vault);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r == 0)
		/* From now on this folder belongs to a vault, and no other is made over it. */
		r = object_store_witness_put(vault->store, 1);
	return r;
}

static int open_create(struct vault *vault, struct reason *reason)
{
	const char *dir = vault->config->keeper_dir;
	bool again = open_exists(vault, CREATING);
	uint64_t witnessed;
	int r = object_store_witness_get(vault->store, &witnessed);

	if (r < 0)
		return open_explain(reason, r, "cannot read", vault->config->objects_dir);
	/* A lost root must not end in an empty vault that nobody asked for: its recordings would
	 * look destroyed. */
	if (witnessed > (again ? 1 : 0)) {
		return reason_set(reason, -RE_NO_ROOT,
				"%s has no keys, but %s holds recordings of a vault: restore the "
				"keeper's directory from its newest copy. The keeper makes no new "
				"vault beside them. To start a new vault without these recordings, "
				"first move %s away too, and keep it: see \"To start a new vault\" "
				"in recseal-keeper(8)",
				dir, vault->config->objects_dir, vault->config->objects_dir);
	}
	r = again ? create_remove_remains(vault)
		  : durable_create_at(vault->dir_fd, CREATING, "", 0, 0600);
	if (r == 0)
		r = create_files(vault, reason);
	if (r == 0)
		/* The last step: from here on a failure is a damaged vault, not an unfinished
		 * one. */
		r = durable_unlink(vault->dir_fd, CREATING);
	if (r == 0)
		r = durable_sync(vault->dir_fd);
	return r < 0 ? open_explain(reason, r, "cannot make a new vault in", dir) : 0;
}

/* A vault that exists. */

static int open_explain_database(struct vault *vault, int r, struct reason *reason)
{
	const char *dir = vault->config->keeper_dir;

	if (r == -RE_CORRUPT)
		reason_set(reason, r,
				"the database %s/keeper.db is corrupt. Restore it, with its "
				"keeper.db-wal if there is one, from a copy made after the last "
				"erasure. Leave root.slots as it is. New recordings wait in their "
				"spools until then",
				dir);
	else if (r == -ENOENT)
		reason_set(reason, r,
				"%s holds root.slots but no keeper.db. Restore keeper.db from a "
				"copy made after the last erasure. Leave root.slots as it is. The "
				"keeper makes no new vault beside it",
				dir);
	else
		return open_explain(reason, r, "cannot open the database in", dir);
	return r;
}

static int open_files(struct vault *vault, uint64_t accept_restored, struct reason *reason)
{
	struct vault_row row;
	int r = db_open(vault->config->keeper_dir, &vault->db);

	if (r == 0)
		open_connect_db(vault);
	if (r == 0)
		r = db_vault_get(vault->db, &row);
	if (r == 0)
		r = vault_clock_open(&vault->clock, vault->db);
	if (r < 0)
		return open_explain_database(vault, r, reason);
	memcpy(vault->root.vault_id, row.vault_id, sizeof(row.vault_id));
	/* The administrator names the epoch, so that an older copy is not accepted by mistake. */
	if (accept_restored && accept_restored != row.epoch) {
		return reason_set(reason, -RE_EPOCH,
				"--accept-restored=%llu was given, but this copy is of epoch %llu. "
				"Check which copy you restored, and give its epoch",
				(unsigned long long)accept_restored, (unsigned long long)row.epoch);
	}
	return mirrors_open(&vault->root, accept_restored != 0, reason);
}

static int sweep_known(void *context, const uint8_t ulid[static ULID_BYTES])
{
	struct vault *vault = context;
	struct recording_row row;
	int r = catalog_recording_by_ulid(vault->db, ulid, &row);

	if (r == 0)
		/* Only its existence counts: a destroyed recording's object is the burial's, not
		 * the sweep's. */
		catalog_recording_clear(&row);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Sets aside objects that are in no catalog. A crash leaves some, and their plaintext is still in
 * its spool. Others show up when an older catalog was put back. */
static int open_sweep(struct vault *vault)
{
	uint8_t newest[ULID_BYTES];
	uint64_t ms = 0;
	size_t set_aside = 0;
	int r = catalog_recording_newest(vault->db, newest);

	for (int i = 0; r == 0 && i < 6; i++)
		ms = ms << 8 | newest[i];
	if (r < 0 && r != -ENOENT)
		return r;
	/* Objects in progress at the crash may be older than the newest catalogued one. */
	ms = ms > SWEEP_BACK_MS ? ms - SWEEP_BACK_MS : 0;
	r = object_store_sweep(vault->store, ms, sweep_known, vault, &set_aside);
	if (set_aside > 0)
		notices_tell(&vault->notices, LOG_WARNING, EVENT_PLAIN, NULL,
				"%zu sealed objects in %s are in no catalog: set aside as "
				"*.uncatalogued. After a crash this is normal, and their "
				"recordings are still in the spool. If an older keeper.db was put "
				"back, restore the right one: the objects are then taken back",
				set_aside, vault->config->objects_dir);
	return r;
}

static int open_recover(struct vault *vault, struct reason *reason)
{
	_cleanup_secret_ struct root_record *forward = NULL;
	const char *dir = vault->config->keeper_dir;
	int r = epoch_recover(&vault->root, reason, &forward);

	if (r < 0)
		return r; /* already explained */
	/* Before anything is served: nobody may read keys that an erasure was destroying. */
	r = erasure_recover(&vault->eraser, forward, reason);
	if (r == 0)
		/* After recovery, which needs both sides of a move. */
		r = root_main_settle(&vault->root, reason);
	if (r == -RE_CORRUPT)
		return open_explain_database(vault, r, reason);
	if (r < 0)
		return open_explain(
				reason, r, "cannot finish an erasure that was under way in", dir);
	/* From here on the tree is open. */
	r = accounts_find_quarantine(vault->root.tree, &vault->quarantine_account);
	if (r == 0)
		(void)mirrors_ready(&vault->root, NULL); /* reports the copies that are away */
	if (r == 0)
		r = open_sweep(vault);
	if (r == -RE_CORRUPT)
		return open_explain_database(vault, r, reason);
	return r < 0 ? open_explain(reason, r, "cannot compare catalog and",
				       vault->config->objects_dir)
		     : 0;
}

static int open_or_create(struct vault *vault, uint64_t accept_restored, struct reason *reason)
{
	int r = open_make_directories(vault->config, reason);

	if (r == 0)
		r = open_take_lock(vault, reason);
	if (r < 0)
		return r;
	r = object_store_open(vault->config->objects_dir, &vault->store);
	if (r < 0)
		return open_explain(reason, r, "cannot open the object directory",
				vault->config->objects_dir);
	vault->predecessors = predecessors_new();
	if (!vault->predecessors)
		return -ENOMEM;
	open_connect_parts(vault);
	bool nothing = !open_exists(vault, "keeper.db") && !root_main_exists(&vault->root);
	/* CREATING marks an unfinished start: it is made again from nothing. */
	if (nothing || open_exists(vault, CREATING))
		return open_create(vault, reason);
	r = open_files(vault, accept_restored, reason);
	return r < 0 ? r : open_recover(vault, reason);
}

int vault_open(const struct vault_setup *setup, struct vault **ret_vault, struct reason *reason)
{
	struct vault *vault = calloc(1, sizeof(*vault));

	if (!vault)
		return -ENOMEM;
	*vault = (struct vault){.config = setup->config,
			.notices = setup->notices,
			.dir_fd = -1,
			.lock_fd = -1};
	vault_clock_connect(&vault->clock, &setup->machine);
	int r = open_or_create(vault, setup->accept_restored, reason);
	/* Now: what is sealed before the first tick has its time too. */
	if (r == 0)
		r = vault_clock_look(&vault->clock, vault->db, &vault->notices);
	if (r < 0) {
		vault_close(vault);
		return r;
	}
	open_connect_tree(vault);
	*ret_vault = vault;
	return 0;
}
