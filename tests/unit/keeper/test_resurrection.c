/* Keeper state from before an erasure is put back, in every way that tools do it: it is refused,
 * and what was destroyed stays destroyed. */
#include "storage/tables/db_open.h"
#include "tests/unit/support/erasure_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/keys/keytree.h"

/* A scene after an erasure, shut, with copies of keeper/ and objects/ from before it ("old") and
 * of keeper/ from after it ("new"). */
static void open_erased(struct erasure_fixture *scene)
{
	erasure_fixture_open(scene);
	vault_fixture_shut(&scene->vault);
	vault_fixture_shell(
			&scene->vault, "cp -a $D/keeper $D/old && cp -a $D/objects $D/old.objects");
	assert_int_equal(vault_fixture_reopen(&scene->vault, 0, NULL), 0);
	assert_int_equal(erasure_fixture_erase(scene), 0);
	vault_fixture_shut(&scene->vault);
	vault_fixture_shell(&scene->vault, "cp -a $D/keeper $D/new");
}

static void assert_refused(struct erasure_fixture *scene, uint64_t accept_restored, int expected)
{
	char *text = NULL;
	int r = vault_fixture_reopen(&scene->vault, accept_restored, &text);

	if (r != expected)
		fail_msg("%d instead of %d: %s", r, expected, text);
	assert_non_null(strstr(text, "epoch"));
	assert_true(strlen(text) > 60); /* a sentence, not a code */
	free(text);
	assert_null(scene->vault.vault);
}

static const struct {
	const char *how;
	int expected;
} ways[] = {
		/* all of keeper/: the copy takes its place; or is written over it, objects kept */
		{"rm -r $D/keeper && mv $D/old $D/keeper", -RE_MOVED},
		{"rm -r $D/keeper && cp -a $D/old $D/keeper", -RE_MOVED},
		{"cp -a $D/old/. $D/keeper/", -RE_EPOCH},
		{"cp $D/old/* $D/keeper/", -RE_EPOCH},
		/* only the database */
		{"cp $D/old/keeper.db $D/keeper/", -RE_EPOCH},
		{"mv $D/old/keeper.db $D/keeper/", -RE_EPOCH},
		/* only the root */
		{"cp $D/old/root.slots $D/keeper/", -RE_EPOCH},
		{"mv $D/old/root.slots $D/keeper/", -RE_MOVED},
		/* objects as well */
		{"rm -r $D/keeper $D/objects && mv $D/old $D/keeper && mv $D/old.objects $D/objects",
				-RE_MOVED},
		{"rm -r $D/keeper && mv $D/old $D/keeper && cp -a --remove-destination $D/old.objects/. $D/objects/",
				-RE_MOVED},
		{"cp -a $D/old/. $D/keeper/ && cp -a --remove-destination $D/old.objects/. $D/objects/",
				-RE_EPOCH},
};

static void test_every_way_of_putting_it_back(void **state)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct erasure_fixture scene;
		open_erased(&scene);
		vault_fixture_shell(&scene.vault, ways[i].how);
		assert_refused(&scene, 0, ways[i].expected);
		assert_refused(&scene, 0, ways[i].expected); /* still */
		/* The present state, put back over it: all is as it was. */
		vault_fixture_shell(&scene.vault, "rm -r $D/keeper && cp -a $D/new $D/keeper");
		if (!strstr(ways[i].how, "rm -r $D/keeper $D/objects")) {
			assert_int_equal(vault_fixture_reopen(&scene.vault, 2, NULL), 0);
			assert_true(erasure_fixture_recovers(&scene));
		}
		erasure_fixture_close(&scene);
	}
}

static void test_accepting_a_restored_copy(void **state)
{
	struct erasure_fixture scene;

	open_erased(&scene);
	vault_fixture_shell(&scene.vault, "rm -r $D/keeper && mv $D/new $D/keeper");
	assert_refused(&scene, 0, -RE_MOVED);
	assert_refused(&scene, 1, -RE_EPOCH);
	assert_refused(&scene, 3, -RE_EPOCH);
	assert_refused(&scene, 0, -RE_MOVED); /* a wrong guess did not adopt it */
	assert_int_equal(vault_fixture_reopen(&scene.vault, 2, NULL), 0);
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

/* Naming the epoch of an old copy does not help it: the objects have seen a later one. */
static void test_an_old_copy_is_not_accepted(void **state)
{
	struct erasure_fixture scene;

	open_erased(&scene);
	vault_fixture_shell(&scene.vault, "rm -r $D/keeper && mv $D/old $D/keeper");
	assert_refused(&scene, 2, -RE_EPOCH);
	assert_refused(&scene, 1, -RE_EPOCH);
	assert_refused(&scene, 0, -RE_EPOCH);
	erasure_fixture_close(&scene);
}

/* The present database with an older root beside it is no better with the flag. */
static void test_accepting_does_not_mix(void **state)
{
	struct erasure_fixture scene;

	open_erased(&scene);
	vault_fixture_shell(&scene.vault, "mv $D/old/root.slots $D/keeper/");
	assert_refused(&scene, 2, -RE_EPOCH);
	erasure_fixture_close(&scene);
}

static void path_and_root(struct erasure_fixture *scene, size_t i, struct key_path *ret_path,
		uint8_t ret_root[static NODE_KEY_BYTES])
{
	struct recording_row row;
	uint64_t epoch;

	vault_fixture_row(&scene->vault, scene->id[i], &row);
	*ret_path = key_path_recording(row.account, row.group, row.id);
	catalog_recording_clear(&row);
	assert_int_equal(erasure_fixture_slots(scene, ret_root, &epoch), 1);
}

/* What the guard protects with words, the keys protect by themselves. */
static void test_the_old_rows_under_the_present_root(void **state)
{
	struct key_path path[SCENE_RECORDINGS], profile;
	uint8_t root[NODE_KEY_BYTES];
	struct erasure_fixture scene;
	char dir[128];
	struct db *db;

	open_erased(&scene);
	assert_int_equal(vault_fixture_reopen(&scene.vault, 0, NULL), 0);
	for (size_t i = 0; i < SCENE_RECORDINGS; i++)
		path_and_root(&scene, i, &path[i], root);
	profile = path[0];
	profile.depth = 3;
	snprintf(dir, sizeof(dir), "%s/old", scene.vault.dir);
	assert_int_equal(db_open(dir, &db), 0);
	for (size_t i = 0; i < SCENE_RECORDINGS; i++) {
		assert_int_equal(keytree_try(db, root, &path[i], 1), -ENOENT);
		assert_int_equal(keytree_try(db, scene.old_root, &path[i], 1), 0); /* control */
	}
	assert_int_equal(keytree_try(db, root, &profile, 1), -ENOENT);
	assert_int_equal(keytree_try(db, scene.old_root, &profile, 1), 0);
	db_close(db);
	erasure_fixture_close(&scene);
}

/* Renaming the whole state directory's parent, or keeper/ away and back, is no restore. */
static void test_moving_is_not_copying(void **state)
{
	struct erasure_fixture scene;

	open_erased(&scene);
	vault_fixture_shell(&scene.vault, "mv $D/keeper $D/elsewhere && mv $D/elsewhere $D/keeper");
	assert_true(erasure_fixture_recovers(&scene));
	erasure_fixture_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_every_way_of_putting_it_back),
			cmocka_unit_test(test_accepting_a_restored_copy),
			cmocka_unit_test(test_an_old_copy_is_not_accepted),
			cmocka_unit_test(test_accepting_does_not_mix),
			cmocka_unit_test(test_the_old_rows_under_the_present_root),
			cmocka_unit_test(test_moving_is_not_copying),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
