/* Erasures through many epochs, against a model that only counts; and what they leave in catalog,
 * object store and audit log. */
#include "tests/unit/support/erasure_fixture.h"
#include "tests/unit/support/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/objects/object_table.h"
#include "storage/tables/audit.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/node_table.h"

#define MODEL_ACCOUNTS 5
#define MODEL_MAX      128
#define MODEL_STEPS    60

struct model {
	struct vault_fixture vault;
	uint64_t random, epoch;
	size_t n;
	struct {
		vault_fixture_id id;
		struct key_path path; /* account, group and recording are its last three nodes */
		uint8_t key[NODE_KEY_BYTES];
		bool alive;
		uint64_t gone; /* in this epoch, once it is not alive */
	} recording[MODEL_MAX];
};

/* Deterministic: a failure can be looked at again (Marsaglia's xorshift64). */
static size_t pick(struct model *model, size_t below)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return (size_t)(model->random % below);
}

static void model_seal(struct model *model)
{
	static const char *const names[MODEL_ACCOUNTS] = {"ada", "bela", "cleo", "dora", NULL};
	size_t count = 1 + pick(model, 4), i = model->n;
	vault_fixture_id ids[4];

	if (model->n + count > MODEL_MAX)
		return;
	if (pick(model, 3) == 0)
		model->vault.now_us += US_PER_DAY; /* another expiry group */
	vault_fixture_seal(
			&model->vault, names[pick(model, MODEL_ACCOUNTS)], "a call", 5, count, ids);
	for (size_t j = 0; j < count; j++, i++) {
		struct recording_row row;
		memcpy(model->recording[i].id, ids[j], sizeof(ids[j]));
		vault_fixture_row(&model->vault, ids[j], &row);
		model->recording[i].path = key_path_recording(row.account, row.group, row.id);
		catalog_recording_clear(&row);
		model->recording[i].alive = true;
		assert_int_equal(
				keytree_open(model->vault.vault->root.tree,
						&model->recording[i].path, model->recording[i].key),
				0);
	}
	model->n += count;
}

static void model_bury(struct model *model, enum erasure_kind kind, size_t victim)
{
	struct key_path above = model->recording[victim].path;

	above.depth = kind == ERASE_ACCOUNT ? 3 : kind == ERASE_GROUP ? 4 : 5;
	for (size_t i = 0; i < model->n; i++) {
		if (!model->recording[i].alive ||
				!key_path_covers(&above, &model->recording[i].path))
			continue;
		model->recording[i].alive = false;
		model->recording[i].gone = model->epoch + 1;
	}
}

static void model_erase(struct model *model)
{
	struct erasure_item items[4];
	struct erasure_result result;
	size_t count = 1 + pick(model, ELEMENTSOF(items)), alive = 0, left = 0;

	if (model->n == 0)
		return;
	for (size_t i = 0; i < model->n; i++)
		alive += model->recording[i].alive;
	for (size_t i = 0; i < count; i++) {
		size_t victim = pick(model, model->n); /* dead ones too */
		size_t die = pick(model, 8);
		enum erasure_kind kind = die == 0  ? ERASE_ACCOUNT
					 : die < 3 ? ERASE_GROUP
						   : ERASE_RECORDING;
		items[i] = vault_fixture_item(&model->vault, kind, model->recording[victim].id);
		if (items[i].account == model->vault.vault->quarantine_account &&
				kind == ERASE_ACCOUNT)
			items[i] = vault_fixture_item(&model->vault, kind = ERASE_RECORDING,
					model->recording[victim].id);
		model_bury(model, kind, victim);
	}
	assert_int_equal(vault_fixture_run(model->vault.vault, items, count, 0, "model", &result),
			0);
	for (size_t i = 0; i < model->n; i++)
		left += model->recording[i].alive;
	assert_int_equal(result.recordings, alive - left);
	assert_int_equal(result.plain_bytes, 5 * (alive - left));
	assert_int_equal(result.epoch_before, model->epoch);
	assert_int_equal(result.epoch_after, ++model->epoch);
	assert_int_equal(result.destroyed_us, model->vault.now_us);
}

static void bury_all(struct vault *vault)
{
	bool more = true;

	while (more)
		assert_int_equal(bury_rows(vault->db, 1, &more, NULL), 0);
}

/* Some strides, or none; what they come to must not be seen. */
static void model_tidy(struct model *model)
{
	bool more;

	for (size_t strides = pick(model, 4); strides > 0; strides--)
		assert_int_equal(bury_rows(model->vault.vault->db, 1 + (int64_t)pick(model, 3),
						 &more, NULL),
				0);
}

static void check_row(struct model *model, size_t i)
{
	bool expected = model->recording[i].alive;
	struct recording_row row;

	vault_fixture_row(&model->vault, model->recording[i].id, &row);
	assert_int_equal(recording_is_live(row.state), expected);
	assert_int_equal(row.destroyed_epoch, model->recording[i].gone);
	assert_int_equal(!row.private, !expected);
	catalog_recording_clear(&row);
}

static void model_check(struct model *model)
{
	struct vault *vault = model->vault.vault;
	struct tally tally;
	int64_t alive = 0;

	for (size_t i = 0; i < model->n; i++) {
		uint8_t key[NODE_KEY_BYTES];
		bool expected = model->recording[i].alive;
		int r = keytree_open(vault->root.tree, &model->recording[i].path, key);
		assert_int_equal(r, expected ? 0 : -ENOENT);
		check_row(model, i);
		if (expected)
			assert_memory_equal(key, model->recording[i].key, sizeof(key));
		alive += expected;
	}
	assert_int_equal(vault_epoch(vault), model->epoch);
	assert_int_equal(catalog_tally_get(vault->db, 0, &tally), 0);
	assert_int_equal(tally.count[RECORDING_SEALED] + tally.count[RECORDING_QUARANTINED], alive);
	assert_int_equal(tally.count[RECORDING_DESTROYED], (int64_t)model->n - alive);
}

static void test_many_epochs(void **state)
{
	static const uint64_t seeds[] = {1, 20260923, 0xfeedface};

	for (size_t i = 0; i < ELEMENTSOF(seeds); i++) {
		struct model *model = calloc(1, sizeof(*model));
		model->random = seeds[i];
		model->epoch = 1;
		vault_fixture_open(&model->vault);
		for (int step = 0; step < MODEL_STEPS; step++) {
			if (pick(model, 2))
				model_seal(model);
			else
				model_erase(model);
			model_check(model);
			model_tidy(model);
			model_check(model);
			if (pick(model, 10) == 0)
				assert_int_equal(vault_fixture_reopen(&model->vault, 0, NULL), 0);
		}
		assert_true(model->epoch > 10);
		bury_all(model->vault.vault);
		model_check(model);
		vault_fixture_close(&model->vault);
		free(model);
	}
}

static int64_t count_nodes(struct db *db)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(
			db_start(db, &q,
					"SELECT (SELECT count(*) FROM node)"
					" + (SELECT sum((length(sealed) - 40) / 40) FROM node_pack)",
					""),
			0);
	assert_int_equal(db_next(db, q), 1);
	assert_int_equal(node_table_any_staged(db), 0);
	return sqlite3_column_int64(q, 0);
}

/* No row of a key stays behind: what is in the table is what is reachable. */
static void test_no_rows_stay_behind(void **state)
{
	/* bob: account, profile, group and two recordings; the quarantine: one less; 256, the
	 * lookup and the catalog below the root; an L1 each, and alice's */
	const int64_t expected = 258 + 3 + 5 + 4;
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	assert_int_equal(erasure_fixture_erase(&scene), 0);
	bury_all(scene.vault.vault);
	assert_int_equal(count_nodes(scene.vault.vault->db), expected);
	assert_true(erasure_fixture_recovers(&scene));
	assert_int_equal(count_nodes(scene.vault.vault->db), expected);
	erasure_fixture_close(&scene);
}

static void test_objects_go_after_the_keys(void **state)
{
	struct erasure_fixture scene;
	uint8_t ulid[ULID_BYTES];
	bool more = false;

	erasure_fixture_open(&scene);
	struct object_store *store = scene.vault.vault->store;
	assert_int_equal(erasure_fixture_erase(&scene), 0);
	assert_int_equal(ulid_parse(scene.id[0], ulid), 0);
	int fd = object_store_open_object(store, ulid);
	assert_true(fd >= 0);
	close(fd);
	bury_all(scene.vault.vault);
	assert_int_equal(bury_objects(scene.vault.vault->db, scene.vault.vault->store, 2, &more,
					 NULL),
			0);
	assert_true(more);
	assert_int_equal(bury_objects(scene.vault.vault->db, scene.vault.vault->store, 2, &more,
					 NULL),
			0);
	assert_false(more);
	for (size_t i = 0; i < SCENE_RECORDINGS; i++) {
		assert_int_equal(ulid_parse(scene.id[i], ulid), 0);
		fd = object_store_open_object(store, ulid);
		if (i < SCENE_ALICE) {
			assert_int_equal(fd, -ENOENT);
		} else {
			assert_true(fd >= 0);
			close(fd);
		}
	}
	assert_true(erasure_fixture_holds(&scene));
	erasure_fixture_close(&scene);
}

static int no_room(struct object_store *store, uint64_t epoch)
{
	return -ENOSPC;
}

/* Shreds are how room is made: a full object folder must not stop one. */
static void test_no_room_for_the_witness(void **state)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	struct object_store *store = scene.vault.vault->store;
	const struct object_store_ops *ops = store->ops;
	struct object_store_ops full = *ops;
	full.witness_put = no_room;
	store->ops = &full;
	assert_int_equal(erasure_fixture_erase(&scene), 0);
	assert_true(scene.vault.vault->root.witness_owed);
	assert_false(root_is_stuck(&scene.vault.vault->root));
	store->ops = ops;
	epoch_witness(&scene.vault.vault->root);
	assert_false(scene.vault.vault->root.witness_owed);
	assert_true(erasure_fixture_holds(&scene));
	erasure_fixture_close(&scene);
}

static void run_sql(struct vault *vault, const char *text)
{
	assert_int_equal(sqlite3_exec(db_handle(vault->db), text, NULL, NULL, NULL), SQLITE_OK);
}

/* Keys beside the victims that do not open stop an erasure; which ones is told. */
static void assert_damage_stops(struct erasure_fixture *scene, const char *what)
{
	struct vault *vault = scene->vault.vault;

	assert_int_equal(erasure_fixture_erase(scene), -RE_CORRUPT);
	assert_non_null(strstr(vault->notices.problem.text, what));
	assert_false(root_is_stuck(&vault->root));
}

/* What is pending because of a damaged key does not stop the next start: whole recordings are served,
 * new ones are sealed, and why it is pending is told. */
static void test_damage_and_a_restart(void **state)
{
	struct recording_opened opened;
	struct erasure_fixture scene;
	struct recording_row row;

	erasure_fixture_open(&scene);
	faults_on_root(scene.vault.vault);
	faults_arm(FAULT_EIO, 0, 1);
	assert_int_equal(vault_fixture_erase(&scene.vault, ERASE_RECORDING, scene.id[0]), -EIO);
	faults_disarm();
	run_sql(scene.vault.vault,
			"UPDATE node SET sealed = zeroblob(72) WHERE id = (5 << 56) + 2");
	assert_int_equal(vault_fixture_reopen(&scene.vault, 0, NULL), 0);
	assert_non_null(strstr(scene.vault.vault->notices.problem.text, "recording 2"));
	assert_int_equal(vault_fixture_state(&scene.vault, scene.id[0]), RECORDING_PENDING);
	vault_fixture_row(&scene.vault, scene.id[SCENE_ALICE], &row);
	assert_int_equal(recordings_open(&scene.vault.vault->ingest.recordings, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	catalog_recording_clear(&row);
	vault_fixture_seal(&scene.vault, "bob", "b", 1, 1, NULL);
	erasure_fixture_close(&scene);
}

static void test_damage_beside_the_victims(void **state)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	run_sql(scene.vault.vault,
			"UPDATE node SET sealed = zeroblob(72) WHERE id = (1 << 56) + 255");
	assert_damage_stops(&scene, "the key of first level 255");
	assert_false(erasure_fixture_holds(&scene));
	erasure_fixture_close(&scene);
}

static void test_damage_to_keys_sealed_together(void **state)
{
	struct erasure_fixture scene;
	vault_fixture_id carols;

	erasure_fixture_open(&scene);
	struct vault *vault = scene.vault.vault;
	vault_fixture_seal(&scene.vault, "carol", "carol/call", 10, 1, &carols);
	assert_int_equal(vault_fixture_erase(&scene.vault, ERASE_RECORDING, carols), 0);
	assert_int_equal(erasure_fixture_slots(&scene, scene.old_root, &scene.old_epoch), 1);
	run_sql(vault, "CREATE TEMP TABLE whole AS SELECT * FROM node_pack");
	run_sql(vault, "UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent = 1 << 56");
	assert_damage_stops(&scene, "keys right below first level 0");
	run_sql(vault, "INSERT OR REPLACE INTO node_pack SELECT * FROM whole");
	assert_false(erasure_fixture_holds(&scene));
	assert_int_equal(erasure_fixture_erase(&scene), 0); /* nothing was given up */
	assert_true(erasure_fixture_holds(&scene));
	erasure_fixture_close(&scene);
}

/* An item of an account that never was changes nothing, not even for the others of its batch. */
static void test_an_unknown_account(void **state)
{
	struct erasure_fixture scene;
	struct erasure_result result = {.recordings = 77};

	erasure_fixture_open(&scene);
	struct erasure_item items[] = {vault_fixture_item(&scene.vault, ERASE_ACCOUNT, scene.id[0]),
			{.kind = ERASE_ACCOUNT, .cause = CAUSE_SHRED, .account = 4711}};
	assert_int_equal(vault_fixture_run(scene.vault.vault, items, 2, 0, NULL, &result), -ENOENT);
	assert_int_equal(result.recordings, 77);
	assert_false(erasure_fixture_holds(&scene));
	erasure_fixture_close(&scene);
}

/* The real one, unless it is to forget its victims. */
int __real_keytree_stage(struct keytree *tree, struct key_path *victims, size_t n,
		uint8_t *ret_root, uint8_t *ret_top);
int __wrap_keytree_stage(struct keytree *tree, struct key_path *victims, size_t n,
		uint8_t *ret_root, uint8_t *ret_top);

static bool forget_victims;

int __wrap_keytree_stage(struct keytree *tree, struct key_path *victims, size_t n,
		uint8_t *ret_root, uint8_t *ret_top)
{
	return __real_keytree_stage(tree, victims, forget_victims ? 0 : n, ret_root, ret_top);
}

/* A staging with a bug, under which the victims go on living: the keeper finds out by itself. */
static void test_an_erasure_that_does_not_take_is_an_alarm(void **state)
{
	struct erasure_fixture scene;

	erasure_fixture_open(&scene);
	forget_victims = true;
	assert_int_equal(erasure_fixture_erase(&scene), -RE_NOT_ERASED);
	forget_victims = false;
	assert_non_null(strstr(scene.vault.vault->notices.problem.text, "could still be opened"));
	erasure_fixture_close(&scene);
}

static void erase_and_crash(struct erasure_fixture *scene)
{
	if (vault_fixture_reopen(&scene->vault, 0, NULL) < 0)
		_exit(1);
	faults_on_root(scene->vault.vault);
	forget_victims = true;
	faults_arm(FAULT_EXIT_BEFORE, 3, 1); /* the overwriting of the old root */
	_exit(erasure_fixture_erase(scene) < 0 ? 2 : 0);
}

/* The same when the erasure was cut short, and is finished by the next start. */
static void test_an_alarm_while_recovering(void **state)
{
	struct erasure_fixture scene;
	int status;

	erasure_fixture_open(&scene);
	vault_fixture_shut(&scene.vault);
	pid_t pid = fork();
	if (pid == 0)
		erase_and_crash(&scene);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT_CODE);
	assert_int_equal(vault_fixture_reopen(&scene.vault, 0, NULL), 0);
	assert_non_null(strstr(scene.vault.vault->notices.problem.text, "could still be opened"));
	erasure_fixture_close(&scene);
}

/* The last three records: the erasure; whose order it carried out; and before that the order itself. */
static void assert_log_tells(struct db *db, const char *action, const char *subject)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(
			db_start(db, &q,
					"SELECT action, uid, reason, epoch, subject FROM audit ORDER BY seq DESC",
					""),
			0);
	assert_int_equal(db_next(db, q), 1);
	assert_string_equal((const char *)sqlite3_column_text(q, 0), "destroyed");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(db_next(db, q), 1);
		assert_string_equal((const char *)sqlite3_column_text(q, 0),
				i == 0 ? "shredded" : action);
		assert_int_equal(sqlite3_column_int64(q, 1), 1234);
		assert_string_equal((const char *)sqlite3_column_text(q, 2), "she asked");
		assert_string_equal((const char *)sqlite3_column_text(q, 4), subject);
	}
}

static void test_the_log_tells_who_and_why(void **state)
{
	struct erasure_fixture scene;
	int64_t records, bad;
	struct recording_row row;
	struct account_row account;
	char handle[ACCOUNT_HANDLE_CHARS + 1];

	erasure_fixture_open(&scene);
	struct erasure_item item = vault_fixture_item(&scene.vault, ERASE_RECORDING, scene.id[0]);
	struct erasure_result result;
	assert_int_equal(vault_fixture_run(scene.vault.vault, &item, 1, 1234, "she asked", &result),
			0);
	assert_log_tells(scene.vault.vault->db, "shred recording", scene.id[0]);
	item = vault_fixture_item(&scene.vault, ERASE_ACCOUNT, scene.id[0]);
	vault_fixture_row(&scene.vault, scene.id[0], &row);
	assert_int_equal(catalog_account_by_id(scene.vault.vault->db, row.account, &account), 0);
	account_handle_format(account.handle, handle);
	catalog_account_clear(&account);
	catalog_recording_clear(&row);
	assert_int_equal(vault_fixture_run(scene.vault.vault, &item, 1, 1234, "she asked", &result),
			0);
	assert_log_tells(scene.vault.vault->db, "shred account", handle);
	assert_int_equal(audit_verify(scene.vault.vault->db, &records, &bad), 0);
	erasure_fixture_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_many_epochs),
			cmocka_unit_test(test_no_rows_stay_behind),
			cmocka_unit_test(test_objects_go_after_the_keys),
			cmocka_unit_test(test_no_room_for_the_witness),
			cmocka_unit_test(test_damage_and_a_restart),
			cmocka_unit_test(test_damage_beside_the_victims),
			cmocka_unit_test(test_damage_to_keys_sealed_together),
			cmocka_unit_test(test_an_unknown_account),
			cmocka_unit_test(test_an_erasure_that_does_not_take_is_an_alarm),
			cmocka_unit_test(test_an_alarm_while_recovering),
			cmocka_unit_test(test_the_log_tells_who_and_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
