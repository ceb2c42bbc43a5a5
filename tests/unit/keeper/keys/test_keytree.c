/* The key tree: what an erasure takes, what it leaves, and what it leaves unreachable. */
#include "tests/unit/keeper/keys/tree_fixture.h"

#include <errno.h>

#include "daemon/keeper/keys/key_pack.h"

static const struct key_path *listed(const struct tree *tree, struct key_path path)
{
	for (size_t i = 0; i < tree->n_paths; i++) {
		if (key_path_compare(&tree->paths[i], &path) == 0)
			return &tree->paths[i];
	}
	fail_msg("no such path");
	return NULL;
}

static void test_what_was_added_opens(void **state)
{
	struct tree *tree = *state;
	struct key_path path = key_path_recording(9, 91, 911), again = path;
	uint8_t given[NODE_KEY_BYTES], got[NODE_KEY_BYTES], found[NODE_KEY_BYTES];

	randombytes_buf(given, sizeof(given));
	assert_int_equal(keytree_open(tree->keys, &path, found), -ENOENT);
	assert_int_equal(keytree_add(tree->keys, &path, given, got), 0);
	assert_memory_equal(given, got, sizeof(got));
	assert_int_equal(keytree_open(tree->keys, &path, found), 0);
	assert_memory_equal(given, found, sizeof(found));
	assert_int_equal(keytree_add(tree->keys, &again, NULL, got), -EEXIST);
	again.depth = 4; /* the group above it came along */
	assert_int_equal(keytree_add(tree->keys, &again, NULL, NULL), -EEXIST);
	assert_int_equal(keytree_add(tree->keys, &tree->paths[5], NULL, NULL), -EEXIST);
	again = key_path_recording(9, 91, 912);
	assert_int_equal(keytree_add(tree->keys, &again, NULL, got), 0);
	assert_memory_not_equal(given, got, sizeof(got));
	assert_int_equal(keytree_try(tree->store->db, tree->root, &path, 1), 0);
}

static void test_unknown_keys(void **state)
{
	struct tree *tree = *state;
	uint8_t key[NODE_KEY_BYTES];
	const struct key_path unknown[] = {key_path_recording(1, 11, 5), key_path_group(1, 5),
			key_path_account(5), key_path_recording(1, 21, 211), key_path_l0(200)};

	for (size_t i = 0; i < ELEMENTSOF(unknown); i++) {
		assert_int_equal(keytree_open(tree->keys, &unknown[i], key), -ENOENT);
		assert_int_equal(keytree_try(tree->store->db, tree->root, &unknown[i], 1), -ENOENT);
	}
}

/* Another root opens nothing. */
static void test_another_root(void **state)
{
	struct tree *tree = *state;
	uint8_t other[NODE_KEY_BYTES];

	memcpy(other, tree->root, sizeof(other));
	other[31] ^= 1;
	for (size_t i = 0; i < tree->n_paths; i++) {
		assert_int_equal(keytree_try(tree->store->db, other, &tree->paths[i], 1), -ENOENT);
		assert_int_equal(keytree_try(tree->store->db, tree->root, &tree->paths[i], 1), 0);
	}
}

static const char *const edits[] = {
		/* the neighbour's */
		("UPDATE node SET sealed = (SELECT sealed FROM node b WHERE b.id = node.id + 1)"
		 " WHERE id = (5 << 56) + 111"),
		"UPDATE node SET epoch = epoch + 1 WHERE id = (5 << 56) + 111",
		"UPDATE node SET epoch = epoch - 1 WHERE id = (4 << 56) + 11",
		"UPDATE node SET sealed = zeroblob(72) WHERE id = (3 << 56) + 1",
		"UPDATE node SET sealed = zeroblob(71) WHERE id = (2 << 56) + 1",
		"UPDATE node SET sealed = NULL WHERE id = (1 << 56) AND 0", /* changes nothing:
									       control */
		"UPDATE node SET sealed = substr(sealed, 1, 71) || x'00' WHERE id = (1 << 56)",
		"DELETE FROM node WHERE id = (5 << 56) + 111;",
};

static void test_moved_and_edited_rows(void **state)
{
	struct tree *tree = *state;
	struct key_path path = key_path_recording(1, 11, 111);
	uint8_t key[NODE_KEY_BYTES] = {0}, untouched[NODE_KEY_BYTES] = {0};

	for (size_t i = 0; i < ELEMENTSOF(edits); i++) {
		int expected = strstr(edits[i], "AND 0")    ? 0
			       : strstr(edits[i], "DELETE") ? -ENOENT
							    : -RE_CORRUPT;
		struct db_transaction transaction = {0};
		assert_int_equal(db_transaction_begin(&transaction, tree->store->db), 0);
		sql(tree->store, edits[i]);
		assert_int_equal(keytree_open(tree->keys, &path, key), expected);
		if (expected < 0)
			assert_memory_equal(key, untouched, sizeof(key));
		sodium_memzero(key, sizeof(key));
		db_transaction_rollback(&transaction);
	}
}

/* A row carried to another parent is of no use there. */
static void test_a_row_under_another_parent(void **state)
{
	struct tree *tree = *state;
	struct key_path moved = key_path_recording(1, 12, 111);
	uint8_t key[NODE_KEY_BYTES];

	sql(tree->store, "UPDATE node SET parent = parent + 1 WHERE id = (5 << 56) + 111");
	assert_int_equal(keytree_open(tree->keys, &moved, key), -RE_CORRUPT);
}

static bool is_victim(const struct key_path *victims, size_t n, const struct key_path *path)
{
	for (size_t i = 0; i < n; i++) {
		if (key_path_covers(&victims[i], path))
			return true;
	}
	return false;
}

static bool is_above_victim(const struct key_path *victims, size_t n, const struct key_path *path)
{
	for (size_t i = 0; i < n; i++) {
		if (path->depth < victims[i].depth && key_path_covers(path, &victims[i]))
			return true;
	}
	return false;
}

/* The whole claim of an erasure, over every node there is. */
static void check_erasure(struct tree *tree, const struct key_path *aimed, size_t n)
{
	struct tree_snapshot before, after;
	struct tree_rows rows = {.n = 0};
	struct key_path victims[8];
	uint64_t epoch = keytree_epoch(tree->keys);

	memcpy(victims, aimed, n * sizeof(*aimed));
	tree_snapshot(tree, &before);
	tree_save(tree, &rows);
	tree_erase(tree, victims, n);
	tree_save(tree, &rows);
	tree_snapshot(tree, &after);
	assert_int_equal(keytree_epoch(tree->keys), epoch + 1);
	for (size_t i = 0; i < tree->n_paths; i++) {
		bool victim = is_victim(aimed, n, &tree->paths[i]);
		bool above = is_above_victim(aimed, n, &tree->paths[i]);
		bool same = memcmp(before.key[i], after.key[i], NODE_KEY_BYTES) == 0;

		assert_true(before.known[i]);
		assert_int_equal(after.known[i], !victim);
		if (!victim)
			assert_int_equal(same, !above);
		/* Old keys: reachable are exactly those that had to stay. */
		assert_int_equal(tree_reaches(&rows, tree->root, before.key[i]), !victim && !above);
	}
}

static void test_a_recording(void **state)
{
	struct key_path victim = key_path_recording(1, 11, 111);

	check_erasure(*state, &victim, 1);
}

static void test_a_group(void **state)
{
	struct key_path victim = key_path_group(65537, 655371);

	check_erasure(*state, &victim, 1);
}

static void test_an_account(void **state)
{
	struct key_path victim = key_path_account(1);

	check_erasure(*state, &victim, 1);
}

static void test_several_that_share_ancestors(void **state)
{
	const struct key_path victims[] = {key_path_recording(300, 3001, 30012),
			key_path_profile(2), key_path_group(65537, 655372),
			key_path_recording(1, 12, 122), key_path_recording(1, 12, 121),
			key_path_recording(1, 11, 112)};

	check_erasure(*state, victims, ELEMENTSOF(victims));
}

static void test_one_below_another(void **state)
{
	const struct key_path victims[] = {key_path_recording(1, 11, 111), key_path_account(1),
			key_path_group(1, 11), key_path_account(1), key_path_recording(2, 21, 211),
			key_path_group(2, 21)};

	check_erasure(*state, victims, ELEMENTSOF(victims));
}

/* Those that are not there do not harm, in front of, between and behind those that are. */
static void test_victims_that_do_not_exist(void **state)
{
	const struct key_path victims[] = {key_path_recording(1, 11, 5),
			key_path_recording(1, 11, 111), key_path_recording(1, 11, 999),
			key_path_group(2, 1), key_path_account(3), key_path_account(40000),
			key_path_recording(77, 1, 1)};

	check_erasure(*state, victims, ELEMENTSOF(victims));
}

static void test_everything_and_nothing(void **state)
{
	const struct key_path all[] = {key_path_account(1), key_path_account(65537),
			key_path_account(2), key_path_account(300)};
	struct tree *tree = *state;

	tree_erase(tree, NULL, 0);
	for (size_t i = 0; i < tree->n_paths; i++)
		assert_int_equal(keytree_try(tree->store->db, tree->root, &tree->paths[i], 1), 0);
	tree_erase(tree, memcpy((struct key_path[4]){{.depth = 0}}, all, sizeof(all)), 4);
	for (size_t i = 0; i < tree->n_paths; i++)
		assert_int_equal(keytree_try(tree->store->db, tree->root, &tree->paths[i], 1),
				is_victim(all, 4, &tree->paths[i]) ? -ENOENT : 0);
}

/* Negative control: had the L1 above the victim kept its key, the search would have found the
 * victim. */
static void test_the_search_catches_a_key_that_stayed(void **state)
{
	struct tree *tree = *state;
	struct key_path victim = key_path_recording(1, 11, 111);
	const struct key_path *l1 =
			listed(tree, (struct key_path){{victim.node[0], victim.node[1]}, 2});
	struct node_position place = {
			victim.node[0], victim.node[1], keytree_epoch(tree->keys) + 1};
	uint8_t key[NODE_KEY_BYTES], l1_key[NODE_KEY_BYTES];
	struct tree_rows rows = {.n = 0};

	assert_int_equal(keytree_open(tree->keys, &victim, key), 0);
	assert_int_equal(keytree_open(tree->keys, l1, l1_key), 0);
	tree_save(tree, &rows);
	assert_true(tree_reaches(&rows, tree->root, key));
	tree_erase(tree, &victim, 1);
	tree_save(tree, &rows);
	assert_false(tree_reaches(&rows, tree->root, key));
	struct node_row stayed = {.parent = place.parent, .id = place.id, .epoch = place.epoch};
	key_seal_node(tree->root, &place, l1_key, stayed.sealed);
	rows.row[rows.n++] = stayed;
	assert_true(tree_reaches(&rows, tree->root, key));
}

/* The keeper's own proof looks at what is staged, so that it can be made before the old rows go. */
static void test_the_proof_over_a_stage(void **state)
{
	struct tree *tree = *state;
	struct key_path victim = key_path_recording(1, 11, 111),
			other = key_path_recording(1, 11, 112);
	uint8_t root[NODE_KEY_BYTES], top[DB_DIGEST_BYTES];
	struct db *db = tree->store->db;

	assert_int_equal(keytree_stage(tree->keys, &victim, 1, root, top), 0);
	assert_int_equal(keytree_try(db, root, &victim, 1), -ENOENT);
	assert_int_equal(keytree_try(db, root, &other, 1), 0);
	assert_int_equal(node_table_apply_staged(db), 0);
	assert_int_equal(keytree_try(db, root, &victim, 1), -ENOENT);
	assert_int_equal(keytree_try(db, root, &other, 1), 0);
}

/* Negative control: an L1 that kept its key would let what is old below it be opened. */
static void test_the_proof_catches_a_key_that_stayed(void **state)
{
	struct tree *tree = *state;
	struct key_path victim = key_path_recording(1, 11, 111), l1 = victim;
	uint8_t root[NODE_KEY_BYTES], top[DB_DIGEST_BYTES], l0_key[NODE_KEY_BYTES];
	uint8_t l1_key[NODE_KEY_BYTES];
	struct db *db = tree->store->db;
	struct key_pack pack = {.n = 0};
	struct node_pack sealed;

	assert_int_equal(keytree_stage(tree->keys, &victim, 1, root, top), 0);
	assert_int_equal(key_pack_load(&pack, db, NODE_STAGED, NODE_ROOT, victim.node[0], root), 0);
	memcpy(l0_key, key_pack_find(&pack, victim.node[0]), sizeof(l0_key));
	l1.depth = 2;
	assert_int_equal(keytree_open(tree->keys, &l1, l1_key), 0);
	sql(tree->store, "DELETE FROM node_pack WHERE parent > 0"
			 " AND epoch = (SELECT epoch FROM staged_parent LIMIT 1)");
	sql(tree->store, "DELETE FROM staged_parent WHERE id >= (2 << 56)");
	pack.n = 0;
	key_pack_add(&pack, victim.node[1], l1_key);
	key_pack_seal(&pack, victim.node[0], keytree_epoch(tree->keys) + 1, l0_key, &sealed);
	assert_int_equal(keytree_try(db, root, &victim, 1), -ENOENT);
	assert_int_equal(node_table_stage_pack(db, &sealed), 0);
	assert_int_equal(keytree_try(db, root, &victim, 1), 0);
}

/* Many paths at once are as each of them alone, whatever their order. */
static void test_the_proof_over_many(void **state)
{
	struct tree *tree = *state;
	struct key_path gone = key_path_account(1), paths[TREE_PATHS_MAX];
	size_t n = 0, there = 0;

	tree_erase(tree, &gone, 1);
	for (size_t i = 0; i < tree->n_paths; i++) {
		const struct key_path *path = &tree->paths[tree->n_paths - 1 - i];
		if (keytree_try(tree->store->db, tree->root, path, 1) == 0)
			there++;
		else
			paths[n++] = *path;
	}
	assert_true(n > 5 && there > 5);
	assert_int_equal(keytree_try(tree->store->db, tree->root, paths, n), -ENOENT);
	assert_int_equal(keytree_try(tree->store->db, tree->root, NULL, 0), -ENOENT);
	for (size_t i = 0; i < tree->n_paths; i++) {
		paths[n] = tree->paths[i];
		assert_int_equal(keytree_try(tree->store->db, tree->root, paths, n + 1),
				key_path_covers(&gone, &paths[n]) ? -ENOENT : 0);
	}
}

static void test_the_check_of_the_top(void **state)
{
	struct tree *tree = *state;
	uint8_t digest[DB_DIGEST_BYTES], other[NODE_KEY_BYTES] = {1};

	assert_int_equal(keytree_top_digest(tree->store->db, false, digest), 0);
	assert_int_equal(keytree_check_top(tree->store->db, false, tree->root, digest), 0);
	assert_int_equal(keytree_check_top(tree->store->db, false, other, digest), -RE_EPOCH);
	assert_int_equal(keytree_check_top(tree->store->db, true, tree->root, digest), -RE_EPOCH);
	digest[0] ^= 1;
	assert_int_equal(keytree_check_top(tree->store->db, false, tree->root, digest), -RE_EPOCH);
	digest[0] ^= 1;
	sql(tree->store, "UPDATE node SET epoch = 6 WHERE parent = 0");
	sql(tree->store, "UPDATE node_pack SET epoch = 6 WHERE parent = 0");
	assert_int_equal(keytree_check_top(tree->store->db, false, tree->root, digest), -RE_EPOCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_both(test_what_was_added_opens),
			in_both(test_unknown_keys),
			in_both(test_another_root),
			in_tree(test_moved_and_edited_rows),
			in_tree(test_a_row_under_another_parent),
			in_both(test_a_recording),
			in_both(test_a_group),
			in_both(test_an_account),
			in_both(test_several_that_share_ancestors),
			in_both(test_one_below_another),
			in_both(test_victims_that_do_not_exist),
			in_both(test_everything_and_nothing),
			in_both(test_the_search_catches_a_key_that_stayed),
			in_both(test_the_proof_over_a_stage),
			in_both(test_the_proof_catches_a_key_that_stayed),
			in_both(test_the_proof_over_many),
			in_both(test_the_check_of_the_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
