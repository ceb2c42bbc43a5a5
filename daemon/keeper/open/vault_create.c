#include "daemon/keeper/open/vault_create.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/root_main.h"
#include "daemon/keeper/vault/accounts.h"
#include "storage/tables/db_open.h"

#define CREATING "creating"
/* A database whose schema was never committed has at most its first page. */
#define EMPTY_DB_BYTES 4096

static bool create_finds(const struct vault *vault, const char *name)
{
	struct stat st;

	return fstatat(vault->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void vault_create_connect(struct vault *vault)
{
	vault->root.db = vault->db;
	vault->root.audit = (struct audit_log){vault->db, vault->clock.told};
}

/* ---- What is there ---- */

static bool create_db_is_empty_file(const struct vault *vault)
{
	struct stat st;

	return fstatat(vault->dir_fd, "keeper.db", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size <= EMPTY_DB_BYTES;
}

/* Whether the database is one that a creation left unfinished. In doubt it is not. */
static bool create_db_is_unused(const struct vault *vault)
{
	int64_t accounts[ACCOUNT_QUARANTINE + 1];
	struct vault_row row;
	struct db *db;

	if (!create_finds(vault, "keeper.db"))
		return true;
	int r = db_open(vault->config->keeper_dir, &db);
	if (r < 0)
		return r == -RE_CORRUPT && create_db_is_empty_file(vault);
	r = db_vault_get(db, &row) == -RE_CORRUPT ? catalog_account_tally(db, accounts) : -EEXIST;
	for (size_t i = 0; i < ELEMENTSOF(accounts) && r == 0; i++)
		r = accounts[i] == 0 ? 0 : -EEXIST; /* even a new vault has its quarantine */
	db_close(db);
	return r == 0;
}

bool vault_create_is_due(struct vault *vault)
{
	if (!create_finds(vault, "keeper.db") && !root_main_exists(&vault->root))
		return true;
	return create_finds(vault, CREATING) && create_db_is_unused(vault);
}

/* What the mark says; zeros, which no root has for a digest, when it says nothing. */
static void create_read_mark(
		const struct vault *vault, uint8_t ret_digest[static ROOT_DIGEST_BYTES])
{
	_cleanup_close_ int fd = openat(vault->dir_fd, CREATING, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n = 0;

	if (fd < 0 || io_pread_full(fd, ret_digest, ROOT_DIGEST_BYTES, 0, &n) < 0 ||
			n < ROOT_DIGEST_BYTES)
		memset(ret_digest, 0, ROOT_DIGEST_BYTES);
}

/* ---- Making it ---- */

/* Every child of the root exists from the start, so that the digest of the top changes with the
 * epoch only. */
static int create_grow_top(struct vault *vault)
{
	struct key_path lookup = key_path_lookup(), catalog = key_path_catalog();
	int r = keytree_add(vault->root.tree, &lookup, NULL, NULL);

	if (r == 0)
		r = keytree_add(vault->root.tree, &catalog, NULL, NULL);
	for (unsigned i = 0; i < KEY_RADIX && r == 0; i++) {
		struct key_path path = key_path_l0(i);
		r = keytree_add(vault->root.tree, &path, NULL, NULL);
	}
	return r;
}

static int create_plant(struct vault *vault, const uint8_t root[static ROOT_KEY_BYTES])
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	struct vault_row row = {.epoch = 1};

	if (!record)
		return -RE_MLOCK;
	randombytes_buf(row.vault_id, sizeof(row.vault_id));
	memcpy(vault->root.vault_id, row.vault_id, sizeof(row.vault_id));
	vault->root.tree = keytree_new(vault->db, root, 1);
	int r = vault->root.tree ? create_grow_top(vault) : -RE_MLOCK;
	if (r == 0)
		r = root_trust_rows(&vault->root, false, root, true);
	if (r == 0)
		r = vault_clock_create(&vault->clock, vault->db);
	row.created_us = vault_clock_told_us(&vault->clock);
	if (r == 0)
		r = db_vault_put(vault->db, &row);
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

/* All of a vault's first rows in one transaction: there is a vault once it is committed. */
static int create_rows(struct vault *vault, const uint8_t root[static ROOT_KEY_BYTES])
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, vault->db);

	if (r == 0)
		r = create_plant(vault, root);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

static int create_files(struct vault *vault, const uint8_t root[static ROOT_KEY_BYTES],
		struct reason *reason)
{
	int r = mirrors_create(&vault->root, reason);

	if (r == 0)
		r = db_open_new(vault->config->keeper_dir, &vault->db);
	if (r == 0)
		vault_create_connect(vault);
	if (r == 0)
		r = create_rows(vault, root);
	/* From now on this folder belongs to a vault, and no other is made over it. */
	return r < 0 ? r : object_store_witness_put(vault->store, 1);
}

/* What an earlier attempt has left, which must be nothing that was ever used. */
static int create_remove_remains(struct vault *vault, struct reason *reason)
{
	static const char *const names[] = {
			"keeper.db", "keeper.db-wal", "keeper.db-shm", CREATING};
	uint8_t first[ROOT_DIGEST_BYTES];

	create_read_mark(vault, first);
	int r = root_main_remove(&vault->root, first);
	if (r == -EEXIST)
		return reason_set(reason, -RE_NO_ROOT,
				"%s holds a root, but no database that goes with it: restore "
				"keeper.db from a copy made after the last erasure. The file "
				"`creating` there is of no use; nothing was removed",
				vault->config->keeper_dir);
	for (size_t i = 0; i < ELEMENTSOF(names) && r == 0; i++)
		r = durable_unlink(vault->dir_fd, names[i]);
	return r < 0 ? r : durable_sync(vault->dir_fd);
}

static int create_make(struct vault *vault, struct reason *reason)
{
	_cleanup_secret_ uint8_t *root = secret_new(ROOT_KEY_BYTES);
	uint8_t digest[ROOT_DIGEST_BYTES];

	if (!root)
		return -RE_MLOCK;
	randombytes_buf(root, ROOT_KEY_BYTES);
	root_main_digest(root, digest);
	int r = durable_create_at(vault->dir_fd, CREATING, digest, sizeof(digest), 0600);
	if (r == 0)
		r = create_files(vault, root, reason);
	if (r == 0)
		r = durable_unlink(vault->dir_fd, CREATING);
	return r < 0 ? r : durable_sync(vault->dir_fd);
}

int vault_create(struct vault *vault, struct reason *reason)
{
	const char *dir = vault->config->keeper_dir;
	bool again = create_finds(vault, CREATING);
	uint64_t witnessed;
	int r = object_store_witness_get(vault->store, &witnessed);

	if (r < 0)
		return reason_set_error(reason, r, "cannot read %s", vault->config->objects_dir);
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
	if (again)
		r = create_remove_remains(vault, reason);
	if (r == -RE_NO_ROOT)
		return r;
	if (r == 0)
		r = create_make(vault, reason);
	return r < 0 ? reason_set_error(reason, r, "cannot make a new vault in %s", dir) : 0;
}

void vault_create_forget(struct vault *vault)
{
	if (!create_finds(vault, CREATING))
		return;
	notices_tell(&vault->notices, LOG_WARNING, EVENT_PLAIN, NULL,
			"%s holds a vault and a file `creating`, which is of no use: it is removed",
			vault->config->keeper_dir);
	if (durable_unlink(vault->dir_fd, CREATING) == 0)
		(void)durable_sync(vault->dir_fd);
}
