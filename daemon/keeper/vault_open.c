#include "daemon/keeper/vault_open.h"

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
#include "daemon/common/event.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/root_place.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/spool_places.h"

/* Present while a new vault is being made: what lies beside it was never used. */
#define CREATING "creating"
/* Objects younger than the newest catalogued one by less than this may have been in progress at a
 * crash. */
#define SWEEP_BACK_MS (24 * 3600 * UINT64_C(1000))

static int fail(FILE *errors, int r, const char *what, const char *path)
{
	fprintf(errors, "%s %s: %s\n", what, path, error_text(r));
	return r;
}

/* Makes the directories of an embedded vault; an installed one's are made by the package. */
static int make_directories(const struct config *config, FILE *errors)
{
	const char *paths[] = {config->keeper_dir, config->objects_dir, config->socket_dir};
	const mode_t modes[] = {0700, 0750, 0755};

	for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
		_cleanup_free_ char *path = strdup(paths[i]);
		if (!path)
			return -ENOMEM;
		for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
			*p = '\0';
			mkdir(path, 0755);
			*p = '/';
		}
		if (mkdir(path, modes[i]) < 0 && errno != EEXIST)
			return fail(errors, -errno, "cannot make directory", path);
	}
	return 0;
}

static int take_lock(struct vault *vault, FILE *errors)
{
	const char *dir = vault->config->keeper_dir;

	vault->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (vault->dir_fd < 0)
		return fail(errors, -errno, "cannot open the keeper's directory", dir);
	vault->lock_fd = openat(
			vault->dir_fd, "lock", O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (vault->lock_fd < 0)
		return fail(errors, -errno, "cannot open the lock file in", dir);
	if (flock(vault->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return fail(errors, -errno, "cannot lock", dir);
	fprintf(errors, "another recseal-keeper is running on %s; stop it first\n", dir);
	return -RE_BUSY;
}

static bool exists(struct vault *vault, const char *name)
{
	struct stat st;

	return fstatat(vault->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A new vault. */

/* Every child of the root exists from the start, so that the digest of the top changes with the
 * epoch only. */
static int grow_top(struct vault *vault)
{
	struct key_path lookup = key_path_lookup();
	int r = keytree_add(vault->tree, &lookup, NULL, NULL);

	for (unsigned i = 0; i < KEY_RADIX && r == 0; i++) {
		struct key_path path = key_path_l0(i);
		r = keytree_add(vault->tree, &path, NULL, NULL);
	}
	return r;
}

static int plant(struct vault *vault)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	_cleanup_secret_ uint8_t *root = secret_new(ROOT_KEY_BYTES);
	struct vault_row row = {.epoch = 1, .created_us = clock_now_us(&vault->clock)};

	if (!record || !root)
		return -RE_MLOCK;
	randombytes_buf(root, ROOT_KEY_BYTES);
	randombytes_buf(row.vault_id, sizeof(row.vault_id));
	memcpy(vault->vault_id, row.vault_id, sizeof(row.vault_id));
	vault->tree = keytree_new(vault->db, root, 1);
	int r = vault->tree ? db_vault_put(vault->db, &row) : -RE_MLOCK;
	if (r == 0)
		r = grow_top(vault);
	if (r == 0)
		r = accounts_create_quarantine(vault, &vault->quarantine_account);
	if (r == 0)
		r = epoch_first(vault, root, record);
	if (r < 0)
		return r;
	memcpy(row.anchor, record->anchor, sizeof(row.anchor));
	return db_vault_put(vault->db, &row);
}

static int remove_remains(struct vault *vault)
{
	static const char *const names[] = {"keeper.db", "keeper.db-wal", "keeper.db-shm"};
	int r = root_place_remove(vault);

	for (size_t i = 0; i < ELEMENTSOF(names) && r == 0; i++)
		r = durable_unlink(vault->dir_fd, names[i]);
	return r < 0 ? r : durable_sync(vault->dir_fd);
}

static int create_files(struct vault *vault, FILE *errors)
{
	int r = mirrors_create(vault, errors);

	if (r == 0)
		r = db_create(vault->config->keeper_dir, &vault->db);
	if (r == 0)
		r = db_begin(vault->db);
	if (r == 0)
		r = plant(vault);
	if (r == 0)
		r = db_commit(vault->db);
	if (r == 0)
		r = vault->store->ops->witness_put(vault->store, 1);
	return r;
}

static int create(struct vault *vault, FILE *errors)
{
	const char *dir = vault->config->keeper_dir;
	bool again = exists(vault, CREATING);
	uint64_t witnessed;
	int r = vault->store->ops->witness_get(vault->store, &witnessed);

	if (r < 0)
		return fail(errors, r, "cannot read", vault->config->objects_dir);
	if (witnessed > (again ? 1 : 0)) {
		fprintf(errors,
				"%s has no keys, but %s holds recordings of a vault: restore the keeper's "
				"directory from its "
				"newest backup; no new vault is made over it\n",
				dir, vault->config->objects_dir);
		return -RE_NO_ROOT;
	}
	r = again ? remove_remains(vault) : durable_create_at(vault->dir_fd, CREATING, "", 0, 0600);
	if (r == 0)
		r = create_files(vault, errors);
	if (r == 0)
		r = durable_unlink(vault->dir_fd, CREATING);
	if (r == 0)
		r = durable_sync(vault->dir_fd);
	return r < 0 ? fail(errors, r, "cannot make a new vault in", dir) : 0;
}

/* A vault that exists. */

static int explain_database(struct vault *vault, int r, FILE *errors)
{
	const char *dir = vault->config->keeper_dir;

	if (r == -RE_CORRUPT)
		fprintf(errors,
				"the database %s/keeper.db is corrupt: restore it, with its keeper.db-wal if "
				"there is one, from a copy made after the last erasure, and leave "
				"root.slots as it is. Recordings stay in their spools until then\n",
				dir);
	else if (r == -ENOENT)
		fprintf(errors,
				"%s holds root.slots but no keeper.db: restore it from a copy made after the "
				"last erasure, and leave root.slots as it is; no new vault is made over "
				"it\n",
				dir);
	else
		return fail(errors, r, "cannot open the database in", dir);
	return r;
}

static int open_files(struct vault *vault, uint64_t accept_restored, FILE *errors)
{
	struct vault_row row;
	int r = db_open(vault->config->keeper_dir, &vault->db);

	if (r == 0)
		r = db_vault_get(vault->db, &row);
	if (r < 0)
		return explain_database(vault, r, errors);
	memcpy(vault->vault_id, row.vault_id, sizeof(row.vault_id));
	if (accept_restored && accept_restored != row.epoch) {
		fprintf(errors,
				"--accept-restored=%llu, but this copy is of epoch %llu: it is not the one "
				"you mean\n",
				(unsigned long long)accept_restored, (unsigned long long)row.epoch);
		return -RE_EPOCH;
	}
	return mirrors_open(vault, accept_restored != 0, errors);
}

static int known(void *context, const uint8_t ulid[static ULID_BYTES])
{
	struct vault *vault = context;
	struct recording_row row;
	int r = catalog_recording_by_ulid(vault->db, ulid, &row);

	if (r == 0)
		catalog_recording_clear(&row);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* Sets aside objects that were named but never catalogued. A crash leaves some, whose plaintext is
 * still in its spool; but there are others when an older catalog was put back. */
static int sweep(struct vault *vault)
{
	uint8_t newest[ULID_BYTES];
	uint64_t ms = 0;
	size_t set_aside = 0;
	int r = catalog_recording_newest(vault->db, newest);

	for (int i = 0; r == 0 && i < 6; i++)
		ms = ms << 8 | newest[i];
	if (r < 0 && r != -ENOENT)
		return r;
	ms = ms > SWEEP_BACK_MS ? ms - SWEEP_BACK_MS : 0;
	r = vault->store->ops->sweep(vault->store, ms, known, vault, &set_aside);
	if (set_aside > 0)
		event_log(LOG_WARNING, EVENT_PLAIN, NULL,
				"%zu sealed objects in %s are in no catalog: set aside as *.uncatalogued. A "
				"crash leaves such, and their recordings are still in the spool; but if an "
				"older keeper.db was put back, restore the right one, which takes them back",
				set_aside, vault->config->objects_dir);
	return r;
}

static int find_latest(struct vault *vault)
{
	uint8_t newest[ULID_BYTES];
	struct recording_row recording;
	struct vault_row row;
	int r = db_vault_get(vault->db, &row);

	if (r < 0)
		return r;
	vault->latest_us = row.created_us;
	r = catalog_recording_newest(vault->db, newest);
	if (r == 0)
		r = catalog_recording_by_ulid(vault->db, newest, &recording);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (recording.sealed_us > vault->latest_us)
		vault->latest_us = recording.sealed_us;
	catalog_recording_clear(&recording);
	return 0;
}

static int recover(struct vault *vault, FILE *errors)
{
	_cleanup_secret_ struct root_record *forward = NULL;
	const char *dir = vault->config->keeper_dir;
	int r = epoch_recover(vault, errors, &forward);

	if (r < 0)
		return r; /* already explained */
	r = erasure_recover(vault, forward);
	if (r == 0)
		r = root_place_settle(vault, errors);
	if (r == -RE_CORRUPT)
		return explain_database(vault, r, errors);
	if (r < 0)
		return fail(errors, r, "cannot finish an erasure that was under way in", dir);
	r = accounts_find_quarantine(vault, &vault->quarantine_account);
	if (r == 0)
		r = find_latest(vault);
	if (r == 0)
		(void)mirrors_ready(vault); /* which tells of those that are away */
	if (r == 0)
		r = sweep(vault);
	if (r == -RE_CORRUPT)
		return explain_database(vault, r, errors);
	return r < 0 ? fail(errors, r, "cannot compare catalog and", vault->config->objects_dir)
		     : 0;
}

static int open_or_create(struct vault *vault, uint64_t accept_restored, FILE *errors)
{
	int r = make_directories(vault->config, errors);

	if (r == 0)
		r = take_lock(vault, errors);
	if (r < 0)
		return r;
	r = object_store_dir_open(vault->config->objects_dir, &vault->store);
	if (r < 0)
		return fail(errors, r, "cannot open the object directory",
				vault->config->objects_dir);
	bool nothing = !exists(vault, "keeper.db") && !root_place_exists(vault);
	if (nothing || exists(vault, CREATING))
		return create(vault, errors);
	r = open_files(vault, accept_restored, errors);
	return r < 0 ? r : recover(vault, errors);
}

int vault_open(const struct config *config, struct clock clock, uint64_t accept_restored,
		FILE *errors, struct vault **ret_vault)
{
	struct vault *vault = calloc(1, sizeof(*vault));

	if (!vault)
		return -ENOMEM;
	*vault = (struct vault){.config = config, .clock = clock, .dir_fd = -1, .lock_fd = -1};
	int r = open_or_create(vault, accept_restored, errors);
	if (r < 0) {
		vault_close(vault);
		return r;
	}
	*ret_vault = vault;
	return 0;
}

struct vault *vault_close(struct vault *vault)
{
	if (!vault)
		return NULL;
	spool_places_free(vault->places);
	keytree_free(vault->tree);
	root_set_free(vault->root);
	db_close(vault->db);
	if (vault->store)
		vault->store->ops->close(vault->store);
	if (vault->lock_fd >= 0)
		close(vault->lock_fd);
	if (vault->dir_fd >= 0)
		close(vault->dir_fd);
	free(vault);
	return NULL;
}
