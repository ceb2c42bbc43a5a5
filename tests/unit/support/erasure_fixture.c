#include "tests/unit/support/erasure_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/durable.h"
#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/audit.h"
#include "storage/tables/node_table.h"

#define ROOT_FILE_BYTES (3 * 4096)
#define SLOT_BYTES      4096

static struct key_path path_of(struct erasure_fixture *scene, size_t i)
{
	struct recording_row row;

	vault_fixture_row(&scene->vault, scene->id[i], &row);
	struct key_path path = key_path_recording(row.account, row.group, row.id);
	catalog_recording_clear(&row);
	return path;
}

static void read_root_file(struct erasure_fixture *scene, uint8_t ret_bytes[static ROOT_FILE_BYTES])
{
	char path[128];
	size_t n;

	snprintf(path, sizeof(path), "%s/keeper/root.slots", scene->vault.dir);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(io_pread_full(fd, ret_bytes, ROOT_FILE_BYTES, 0, &n), 0);
	assert_int_equal(n, ROOT_FILE_BYTES);
}

bool erasure_fixture_root_is_stored(
		struct erasure_fixture *scene, const uint8_t root[static NODE_KEY_BYTES])
{
	uint8_t bytes[ROOT_FILE_BYTES];

	read_root_file(scene, bytes);
	return memmem(bytes, sizeof(bytes), root, NODE_KEY_BYTES);
}

unsigned erasure_fixture_slots(struct erasure_fixture *scene,
		uint8_t ret_root[static NODE_KEY_BYTES], uint64_t *ret_epoch)
{
	uint8_t bytes[ROOT_FILE_BYTES];
	struct root_record record;
	unsigned valid = 0;

	read_root_file(scene, bytes);
	for (unsigned i = 0; i < ROOT_SLOTS; i++) {
		if (root_record_decode(bytes + i * SLOT_BYTES, &record) < 0)
			continue;
		memcpy(ret_root, record.key, NODE_KEY_BYTES);
		*ret_epoch = record.epoch;
		valid++;
	}
	return valid;
}

void erasure_fixture_open(struct erasure_fixture *scene)
{
	vault_fixture_open(&scene->vault);
	vault_fixture_seal(&scene->vault, "alice", "alice/call", 10, 3, &scene->id[0]);
	vault_fixture_seal(&scene->vault, "bob", "bob/call", 10, 2, &scene->id[3]);
	vault_fixture_seal(&scene->vault, NULL, "nobody/call", 10, 1, &scene->id[5]);
	for (size_t i = 0; i < SCENE_RECORDINGS; i++) {
		struct key_path path = path_of(scene, i);
		assert_int_equal(keytree_open(scene->vault.vault->root.tree, &path, scene->key[i]),
				0);
	}
	assert_int_equal(erasure_fixture_slots(scene, scene->old_root, &scene->old_epoch), 1);
	assert_true(erasure_fixture_root_is_stored(scene, scene->old_root));
}

void erasure_fixture_close(struct erasure_fixture *scene)
{
	vault_fixture_close(&scene->vault);
}

int erasure_fixture_erase(struct erasure_fixture *scene)
{
	return vault_fixture_erase(&scene->vault, ERASE_ACCOUNT, scene->id[0]);
}

static void check_alive(struct erasure_fixture *scene, size_t i, const struct recording_row *row)
{
	struct vault *vault = scene->vault.vault;
	struct recording_private private;
	struct recording_opened opened;
	struct key_path path = path_of(scene, i);
	uint8_t key[NODE_KEY_BYTES];

	assert_int_equal(row->state,
			i == SCENE_RECORDINGS - 1 ? RECORDING_QUARANTINED : RECORDING_SEALED);
	assert_int_equal(keytree_open(vault->root.tree, &path, key), 0);
	assert_memory_equal(key, scene->key[i], sizeof(key));
	assert_int_equal(recordings_private(vault->root.tree, row, &private), 0);
	assert_non_null(strstr((char *)private.path, "/call"));
	recording_private_clear(&private);
	assert_int_equal(recordings_open(&vault->ingest.recordings, row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
}

static void check_destroyed(
		struct erasure_fixture *scene, size_t i, const struct recording_row *row)
{
	struct vault *vault = scene->vault.vault;
	struct key_path path = path_of(scene, i);
	struct recording_private private;
	uint8_t key[NODE_KEY_BYTES];

	assert_int_equal(row->state, RECORDING_DESTROYED);
	assert_int_equal(row->destroyed_epoch, scene->old_epoch + 1);
	assert_null(row->private);
	assert_int_equal(recordings_private(vault->root.tree, row, &private), -RE_GONE);
	assert_int_equal(keytree_open(vault->root.tree, &path, key), -ENOENT);
}

static void check_account(struct erasure_fixture *scene, size_t i, bool destroyed)
{
	struct account_row account;
	struct recording_row row;
	char *name = NULL;

	vault_fixture_row(&scene->vault, scene->id[i], &row);
	assert_int_equal(catalog_account_by_id(scene->vault.vault->db, row.account, &account), 0);
	assert_int_equal(account.state, destroyed ? ACCOUNT_DELETED : ACCOUNT_OPEN);
	assert_int_equal(accounts_name(scene->vault.vault->root.tree, &account, &name),
			destroyed ? -RE_GONE : 0);
	if (!destroyed)
		assert_string_equal(name, i < SCENE_ALICE ? "alice" : "bob");
	free(name);
	catalog_account_clear(&account);
	catalog_recording_clear(&row);
}

static int refuse_item(void *context, const struct erasure_item *item)
{
	fail_msg("an erasure is still noted");
	return 0;
}

static void check_at_rest(struct erasure_fixture *scene, bool destroyed)
{
	struct vault *vault = scene->vault.vault;
	uint64_t epoch = scene->old_epoch + destroyed, slot_epoch = 0, witness;
	uint8_t root[NODE_KEY_BYTES];
	int64_t records, bad;
	struct vault_row row;

	assert_int_equal(vault_epoch(vault), epoch);
	assert_int_equal(db_vault_get(vault->db, &row), 0);
	assert_int_equal(row.epoch, epoch);
	assert_int_equal(erasure_fixture_slots(scene, root, &slot_epoch), 1);
	assert_int_equal(slot_epoch, epoch);
	assert_int_equal(erasure_fixture_root_is_stored(scene, scene->old_root), !destroyed);
	assert_int_equal(object_store_witness_get(vault->store, &witness), 0);
	assert_int_equal(witness, epoch);
	assert_int_equal(node_table_any_staged(vault->db), 0);
	assert_int_equal(erasure_table_each(vault->db, refuse_item, NULL), 0);
	assert_int_equal(audit_verify(vault->db, &records, &bad), 0);
	assert_false(root_is_stuck(&vault->root));
}

bool erasure_fixture_holds(struct erasure_fixture *scene)
{
	bool destroyed = vault_fixture_state(&scene->vault, scene->id[0]) == RECORDING_DESTROYED;

	for (size_t i = 0; i < SCENE_RECORDINGS; i++) {
		struct recording_row row;
		vault_fixture_row(&scene->vault, scene->id[i], &row);
		if (destroyed && i < SCENE_ALICE)
			check_destroyed(scene, i, &row);
		else
			check_alive(scene, i, &row);
		catalog_recording_clear(&row);
	}
	check_account(scene, 0, destroyed);
	check_account(scene, SCENE_ALICE, false);
	check_at_rest(scene, destroyed);
	return destroyed;
}

bool erasure_fixture_recovers(struct erasure_fixture *scene)
{
	char *text = NULL;
	int r = vault_fixture_reopen(&scene->vault, 0, &text);

	if (r < 0)
		fail_msg("%d: %s", r, text);
	free(text);
	return erasure_fixture_holds(scene);
}
