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
#include "daemon/keeper/open/vault_create.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/objects_place.h"
#include "daemon/keeper/root/root_main.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/catalog_watch.h"
#include "daemon/keeper/vault/predecessors.h"
#include "storage/tables/db_open.h"
#include "storage/tables/row_mac.h"

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
	vault->eraser = (struct eraser){&vault->root, vault->predecessors, &vault->loans};
	vault->ingest = (struct ingest){.root = &vault->root,
			.clock = &vault->clock,
			.predecessors = vault->predecessors,
			.loans = &vault->loans,
			.config = config};
}

static void open_connect_tree(struct vault *vault)
{
	vault->ingest.recordings = (struct recordings){
			vault->root.tree, vault->store, vault->quarantine_account};
}

/* A vault that exists. */

static int open_explain_database(struct vault *vault, int r, struct reason *reason)
{
	const char *dir = vault->config->keeper_dir;

	if (r == -RE_ALTERED)
		reason_set(reason, r,
				"the database %s/keeper.db was altered outside the keeper: its "
				"tables, or what it says about the whole vault, are not what the "
				"keeper wrote. Restore it, with its keeper.db-wal if there is one, "
				"from a copy made after the last erasure. Leave root.slots as it "
				"is",
				dir);
	else if (r == -RE_CORRUPT)
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

/* The administrator names the epoch, so that an older copy is not accepted by mistake. */
static int open_check_accepted(
		const char *option, uint64_t accepted, uint64_t epoch, struct reason *reason)
{
	if (accepted == 0 || accepted == epoch)
		return 0;
	return reason_set(reason, -RE_EPOCH,
			"%s=%llu was given, but this copy is of epoch %llu. Check which copy you "
			"restored, and give its epoch",
			option, (unsigned long long)accepted, (unsigned long long)epoch);
}

static int open_files(struct vault *vault, const struct vault_setup *setup, struct reason *reason)
{
	struct vault_row row;
	int r = db_open(vault->config->keeper_dir, &vault->db);

	if (r == 0)
		vault_create_connect(vault);
	if (r == 0)
		r = db_vault_get(vault->db, &row);
	if (r < 0)
		return open_explain_database(vault, r, reason);
	memcpy(vault->root.vault_id, row.vault_id, sizeof(row.vault_id));
	r = open_check_accepted("--accept-restored", setup->accept_restored, row.epoch, reason);
	if (r == 0)
		r = open_check_accepted(
				"--accept-altered", setup->accept_altered, row.epoch, reason);
	if (r < 0)
		return r;
	r = mirrors_open(&vault->root, setup->accept_restored != 0, reason);
	return r < 0 && !*reason->text ? open_explain_database(vault, r, reason) : r;
}

/* After it is told what was found. */
static int open_accept_altered(struct vault *vault)
{
	const struct audit_log audit = {vault->db, vault->clock.told};
	const struct audit_actor actor = {getuid(), NULL};
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, vault->db);

	if (r == 0)
		r = row_mac_accept(vault->db);
	if (r == 0)
		r = audit_log_append(&audit, &actor, "accept altered catalog", "",
				root_epoch(&vault->root));
	return r < 0 ? r : db_transaction_commit(&transaction);
}

/* Before the audit log is written, and before anything is counted. */
static int open_mend(struct vault *vault)
{
	return catalog_watch_report(&vault->watch, vault->db, &vault->notices);
}

static int open_recover(struct vault *vault, const struct vault_setup *setup, struct reason *reason)
{
	_cleanup_secret_ struct root_record *forward = NULL;
	const char *dir = vault->config->keeper_dir;
	int r = epoch_recover(&vault->root, reason, &forward);

	if (r < 0)
		return r; /* already explained */
	r = mirrors_clear_up(&vault->root);
	if (r == 0)
		r = open_mend(vault);
	/* From here on there is a time to go by. */
	if (r == 0)
		r = vault_clock_open(&vault->clock, vault->db);
	if (r == 0 && setup->accept_altered)
		r = open_accept_altered(vault);
	/* Before anything is served: nobody may read keys that an erasure was destroying. */
	if (r == 0)
		r = erasure_recover(&vault->eraser, forward, reason);
	if (r == 0)
		/* After recovery, which needs both sides of a move. */
		r = root_main_settle(&vault->root, reason);
	if (r == -RE_CORRUPT || r == -RE_ALTERED)
		return open_explain_database(vault, r, reason);
	if (r < 0)
		return open_explain(
				reason, r, "cannot finish an erasure that was under way in", dir);
	/* From here on the tree is open. */
	r = accounts_find_quarantine(vault->root.tree, &vault->quarantine_account);
	if (r == 0)
		(void)mirrors_ready(&vault->root, NULL); /* reports the copies that are away */
	if (r == -RE_CORRUPT || r == -RE_ALTERED)
		return open_explain_database(vault, r, reason);
	return r < 0 ? open_explain(reason, r, "cannot read the catalog in", dir) : 0;
}

static int open_or_create(
		struct vault *vault, const struct vault_setup *setup, struct reason *reason)
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
	if (vault_create_is_due(vault))
		return vault_create(vault, reason);
	r = open_files(vault, setup, reason);
	if (r == 0)
		r = open_recover(vault, setup, reason);
	if (r == 0)
		vault_create_forget(vault);
	return r;
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
	int r = open_or_create(vault, setup, reason);
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
