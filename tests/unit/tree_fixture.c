#include "tree_fixture.h"

#include <errno.h>

#include "base/secret.h"

#define KEYS_MAX 512

/* Adds a path and those above it to the list, once each. */
static void list(struct tree *tree, struct key_path path)
{
	struct key_path prefix = path;

	for (prefix.depth = 1; prefix.depth <= path.depth; prefix.depth++) {
		bool listed = false;
		for (size_t i = 0; i < tree->n_paths && !listed; i++)
			listed = key_path_compare(&tree->paths[i], &prefix) == 0;
		if (!listed)
			tree->paths[tree->n_paths++] = prefix;
		assert_true(tree->n_paths < TREE_PATHS_MAX);
	}
}

static void grow(struct tree *tree, struct key_path path)
{
	assert_int_equal(keytree_add(tree->keys, &path, NULL, NULL), 0);
	list(tree, path);
}

static void grow_account(struct tree *tree, int64_t account)
{
	grow(tree, key_path_profile(account));
	for (int64_t group = account * 10 + 1; group <= account * 10 + 2; group++) {
		grow(tree, key_path_recording(account, group, group * 10 + 1));
		grow(tree, key_path_recording(account, group, group * 10 + 2));
	}
}

int tree_open(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	static const int64_t accounts[] = {1, 65537, 2, 300};
	void *store;

	if (open_store(&store) != 0)
		return -1;
	tree->store = store;
	randombytes_buf(tree->root, sizeof(tree->root));
	tree->keys = keytree_new(tree->store->db, tree->root, 7);
	assert_non_null(tree->keys);
	grow(tree, key_path_lookup());
	for (size_t i = 0; i < ELEMENTSOF(accounts); i++)
		grow_account(tree, accounts[i]);
	*state = tree;
	return 0;
}

int tree_close(void **state)
{
	struct tree *tree = *state;
	void *store = tree->store;

	keytree_free(tree->keys);
	free(tree);
	return close_store(&store);
}

void tree_snapshot(struct tree *tree, struct tree_snapshot *ret_snapshot)
{
	*ret_snapshot = (struct tree_snapshot){.known = {false}};
	for (size_t i = 0; i < tree->n_paths; i++) {
		int r = keytree_open(tree->keys, &tree->paths[i], ret_snapshot->key[i]);
		assert_true(r == 0 || r == -ENOENT);
		ret_snapshot->known[i] = r == 0;
	}
}

void tree_erase(struct tree *tree, struct key_path *victims, size_t n)
{
	uint8_t top[DB_DIGEST_BYTES], applied[DB_DIGEST_BYTES];
	uint8_t old[NODE_KEY_BYTES];

	memcpy(old, tree->root, sizeof(old));
	assert_int_equal(keytree_stage(tree->keys, victims, n, tree->root, top), 0);
	assert_memory_not_equal(old, tree->root, sizeof(old));
	assert_int_equal(keytree_check_top(tree->store->db, true, tree->root, top), 0);
	assert_int_equal(keytree_check_top(tree->store->db, true, old, top), -RE_EPOCH);
	assert_int_equal(node_apply_staged(tree->store->db), 0);
	assert_int_equal(keytree_top_digest(tree->store->db, false, applied), 0);
	assert_memory_equal(applied, top, sizeof(top));
	keytree_advance(tree->keys, tree->root);
}

void tree_save(struct tree *tree, struct tree_rows *rows)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(
		db_start(tree->store->db, &q, "SELECT parent, id, epoch, sealed FROM node", ""), 0);
	while (db_next(tree->store->db, q) > 0) {
		struct node_row *row = &rows->row[rows->n++];
		assert_true(rows->n < TREE_ROWS_MAX);
		row->parent = (uint64_t)sqlite3_column_int64(q, 0);
		row->id = (uint64_t)sqlite3_column_int64(q, 1);
		row->epoch = (uint64_t)sqlite3_column_int64(q, 2);
		assert_int_equal(db_column_exact(q, 3, row->sealed, sizeof(row->sealed)), 0);
	}
}

static bool opens(const uint8_t *key, const struct node_row *row, uint8_t *ret_key)
{
	struct node_place place = {row->parent, row->id, row->epoch};

	return node_key_open(key, &place, row->sealed, ret_key) == 0;
}

bool tree_reaches(const struct tree_rows *rows, const uint8_t root[static NODE_KEY_BYTES],
	const uint8_t key[static NODE_KEY_BYTES])
{
	uint8_t found[KEYS_MAX][NODE_KEY_BYTES], fresh[NODE_KEY_BYTES];
	size_t n = 1;

	memcpy(found[0], root, NODE_KEY_BYTES);
	for (size_t at = 0; at < n; at++) {
		if (memcmp(found[at], key, NODE_KEY_BYTES) == 0)
			return true;
		for (size_t i = 0; i < rows->n; i++) {
			bool seen = !opens(found[at], &rows->row[i], fresh);
			for (size_t j = 0; j < n && !seen; j++)
				seen = memcmp(found[j], fresh, NODE_KEY_BYTES) == 0;
			if (seen)
				continue;
			assert_true(n < KEYS_MAX);
			memcpy(found[n++], fresh, NODE_KEY_BYTES);
		}
	}
	return false;
}
