/* Keys sealed together: damage to them, and more of them than one pack holds. */
#include "tests/unit/keeper/keys/tree_fixture.h"

#include <errno.h>

static const char *const pack_edits[] = {
		/* the neighbour's */
		("UPDATE node_pack SET sealed = (SELECT sealed FROM node_pack b"
		 " WHERE b.parent = node_pack.parent + 1) WHERE parent = (4 << 56) + 11"),
		"UPDATE node_pack SET epoch = epoch + 1 WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET epoch = epoch - 1 WHERE parent = (3 << 56) + 1",
		"UPDATE node_pack SET first = first - 1 WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent = (2 << 56) + 1",
		"UPDATE node_pack SET sealed = substr(sealed, 1, length(sealed) - 1) WHERE parent = (3 << 56) + 1",
		"UPDATE node_pack SET sealed = substr(sealed, 1, length(sealed) - 40) WHERE parent = (3 << 56) + 1",
		"UPDATE node_pack SET sealed = zeroblob(40) WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET sealed = zeroblob(10320) WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET sealed = zeroblob(100000) WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET sealed = CAST(sealed AS TEXT) WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET sealed = 5 WHERE parent = (4 << 56) + 11",
		"UPDATE node_pack SET sealed = x'' WHERE parent = (4 << 56) + 11 AND 0", /* control
											  */
		"DELETE FROM node_pack WHERE parent = (4 << 56) + 11",
		/* a row in its place: a single key's box is none of several */
		("INSERT INTO node(parent, id, epoch, sealed) SELECT parent, first, epoch,"
		 " substr(sealed, 1, 72) FROM node_pack WHERE parent = (4 << 56) + 11"),
};

static void test_edited_packs(void **state)
{
	struct tree *tree = *state;
	struct key_path path = key_path_recording(1, 11, 111);
	uint8_t key[NODE_KEY_BYTES] = {0}, untouched[NODE_KEY_BYTES] = {0};

	for (size_t i = 0; i < ELEMENTSOF(pack_edits); i++) {
		int expected = strstr(pack_edits[i], "AND 0")    ? 0
			       : strstr(pack_edits[i], "DELETE") ? -ENOENT
								 : -RE_CORRUPT;
		struct db_transaction transaction = {0};
		assert_int_equal(db_transaction_begin(&transaction, tree->store->db), 0);
		sql(tree->store, pack_edits[i]);
		assert_int_equal(keytree_open(tree->keys, &path, key), expected);
		if (expected < 0)
			assert_memory_equal(key, untouched, sizeof(key));
		sodium_memzero(key, sizeof(key));
		db_transaction_rollback(&transaction);
	}
}

/* What has to stay and does not open stops a staging, which says what it is; what is not needed for
 * it does not. */
static void test_damage_is_named(void **state)
{
	static const struct {
		const char *edit;
		enum keytree_damage damage;
		uint64_t kind, number;
	} cases[] = {
			{"UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent = (4 << 56) + 11",
					KEYTREE_CHILDREN, NODE_KIND_GROUP, 11},
			{"UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent = (3 << 56) + 1",
					KEYTREE_CHILDREN, NODE_KIND_ACCOUNT, 1},
			{"UPDATE node_pack SET sealed = zeroblob(length(sealed)) WHERE parent = 0",
					KEYTREE_CHILDREN, 0, 0},
			{"UPDATE node_pack SET sealed = zeroblob(7) WHERE parent = (2 << 56) + 1",
					KEYTREE_CHILDREN, NODE_KIND_L1, 1},
			{"UPDATE node SET sealed = zeroblob(72) WHERE id = (5 << 56) + 112",
					KEYTREE_NODE, NODE_KIND_RECORDING, 112},
			{"UPDATE node SET sealed = zeroblob(71) WHERE id = (5 << 56) + 112",
					KEYTREE_CHILDREN, NODE_KIND_GROUP, 11},
			/* where no keeper puts any */
			{"UPDATE node SET id = -1 WHERE id = (5 << 56) + 112", KEYTREE_NODE, 255,
					UINT64_MAX},
			{"UPDATE node_pack SET first = -1 WHERE parent = (4 << 56) + 11",
					KEYTREE_CHILDREN, NODE_KIND_GROUP, 11},
			/* one that is in the pack too */
			{"UPDATE node SET id = id - 1 WHERE id = (5 << 56) + 112", KEYTREE_NODE,
					NODE_KIND_RECORDING, 111},
			{"UPDATE node SET sealed = zeroblob(72) WHERE id = (5 << 56) + 122",
					KEYTREE_WHOLE, 0, 0},
			{"UPDATE node_pack SET sealed = zeroblob(80) WHERE parent = (4 << 56) + 12",
					KEYTREE_WHOLE, 0, 0},
	};
	struct tree *tree = *state;
	uint8_t root[NODE_KEY_BYTES], top[DB_DIGEST_BYTES];
	uint64_t node;

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct key_path victim = key_path_recording(1, 11, 113);
		assert_int_equal(keytree_add(tree->keys, &victim, NULL, NULL), 0);
		struct db_transaction transaction = {0};
		assert_int_equal(db_transaction_begin(&transaction, tree->store->db), 0);
		sql(tree->store, cases[i].edit);
		assert_int_equal(keytree_stage(tree->keys, &victim, 1, root, top),
				cases[i].damage == KEYTREE_WHOLE ? 0 : -RE_CORRUPT);
		assert_int_equal(keytree_damaged(tree->keys, &node), cases[i].damage);
		if (cases[i].damage != KEYTREE_WHOLE)
			assert_true(node == key_path_node_id((enum node_kind)cases[i].kind,
							    cases[i].number));
		db_transaction_rollback(&transaction);
		sql(tree->store, "DELETE FROM node WHERE id = (5 << 56) + 113");
	}
}

/* More children than one pack holds. */
#define MANY 700

static struct key_path many_path(int64_t i)
{
	return key_path_group(2, 1000 + 3 * i); /* not all in the order in which they are added */
}

/* Every third of them is gone from the round-th time on, the first ones first. */
static void check_many(struct tree *tree, uint8_t (*key)[NODE_KEY_BYTES], size_t round)
{
	uint8_t found[NODE_KEY_BYTES];

	for (int64_t i = 0; i < MANY; i++) {
		struct key_path path = many_path(i);
		bool gone = (size_t)(i % 3) < round;
		assert_int_equal(keytree_open(tree->keys, &path, found), gone ? -ENOENT : 0);
		if (!gone)
			assert_memory_equal(found, key[i], sizeof(found));
	}
}

static void test_more_children_than_a_pack_holds(void **state)
{
	static uint8_t key[MANY][NODE_KEY_BYTES];
	static const int64_t packs[] = {3, 2, 1};
	struct tree *tree = *state;
	struct key_path victims[MANY];

	for (int64_t i = MANY - 1; i >= 0; i--) {
		struct key_path path = many_path(i);
		assert_int_equal(keytree_add(tree->keys, &path, NULL, key[i]), 0);
	}
	tree_erase(tree, (struct key_path[]){key_path_profile(2)}, 1);
	check_many(tree, key, 0);
	assert_int_equal(ask(tree->store, "SELECT max(length(sealed)) FROM node_pack"),
			40 + 256 * 40);
	for (size_t round = 0; round < ELEMENTSOF(packs); round++) {
		size_t n = 0;
		assert_int_equal(ask(tree->store, "SELECT count(*) FROM node_pack"
						  " WHERE parent = (3 << 56) + 2"),
				packs[round]);
		for (int64_t i = (int64_t)round; i < MANY; i += 3)
			victims[n++] = many_path(i);
		tree_erase(tree, victims, n);
		check_many(tree, key, round + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			in_packed_tree(test_edited_packs),
			in_packed_tree(test_damage_is_named),
			in_both(test_more_children_than_a_pack_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
