#include "tests/unit/keeper/keys/tree_fixture.h"

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

static const int64_t accounts[] = {1, 65537, 2, 300};

#define GROUPS 2
static int64_t group_of(int64_t account, int64_t i)
{
	return account * 10 + 1 + i;
}

static void grow_recordings(struct tree *tree, int64_t number)
{
	for (size_t i = 0; i < ELEMENTSOF(accounts); i++) {
		for (int64_t group = group_of(accounts[i], 0);
				group < group_of(accounts[i], GROUPS); group++)
			grow(tree, key_path_recording(accounts[i], group, group * 10 + number));
	}
}

int tree_open(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	void *store;

	if (open_store(&store) != 0)
		return -1;
	tree->store = store;
	randombytes_buf(tree->root, sizeof(tree->root));
	tree->keys = keytree_new(tree->store->db, tree->root, 7);
	assert_non_null(tree->keys);
	grow(tree, key_path_lookup());
	for (size_t i = 0; i < ELEMENTSOF(accounts); i++)
		grow(tree, key_path_profile(accounts[i]));
	grow_recordings(tree, 1);
	grow_recordings(tree, 2);
	*state = tree;
	return 0;
}

int tree_open_packed(void **state)
{
	struct key_path victims[ELEMENTSOF(accounts) * GROUPS];
	size_t n = 0;

	if (tree_open(state) != 0)
		return -1;
	struct tree *tree = *state;
	for (size_t i = 0; i < ELEMENTSOF(accounts); i++) {
		for (int64_t group = group_of(accounts[i], 0);
				group < group_of(accounts[i], GROUPS); group++)
			victims[n++] = key_path_recording(accounts[i], group, group * 10 + 2);
	}
	tree_erase(tree, victims, n);
	assert_int_equal(ask(tree->store, "SELECT count(*) FROM node"), 0);
	grow_recordings(tree, 2);
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
	struct db *db = tree->store->db;

	memcpy(old, tree->root, sizeof(old));
	bool any = keytree_try(db, old, victims, n) == 0;
	assert_int_equal(keytree_stage(tree->keys, victims, n, tree->root, top), 0);
	assert_memory_not_equal(old, tree->root, sizeof(old));
	assert_int_equal(keytree_check_top(db, true, tree->root, top), 0);
	assert_int_equal(keytree_check_top(db, true, old, top), -RE_EPOCH);
	assert_int_equal(keytree_try(db, tree->root, victims, n), -ENOENT);
	assert_int_equal(keytree_try(db, old, victims, n), any ? 0 : -ENOENT); /* control */
	assert_int_equal(node_table_apply_staged(db), 0);
	assert_int_equal(keytree_top_digest(db, false, applied), 0);
	assert_memory_equal(applied, top, sizeof(top));
	keytree_advance(tree->keys, tree->root);
	assert_int_equal(keytree_try(db, tree->root, victims, n), -ENOENT);
}

static void save_rows(struct tree *tree, struct tree_rows *rows)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(db_start(tree->store->db, &q, "SELECT parent, id, epoch, sealed FROM node",
					 ""),
			0);
	while (db_next(tree->store->db, q) > 0) {
		struct node_row *row = &rows->row[rows->n++];
		assert_true(rows->n < TREE_ROWS_MAX);
		row->parent = (uint64_t)sqlite3_column_int64(q, 0);
		row->id = (uint64_t)sqlite3_column_int64(q, 1);
		row->epoch = (uint64_t)sqlite3_column_int64(q, 2);
		assert_int_equal(db_column_exact(q, 3, row->sealed, sizeof(row->sealed)), 0);
	}
}

static void save_packs(struct tree *tree, struct tree_rows *rows)
{
	_cleanup_query_ sqlite3_stmt *q = NULL;

	assert_int_equal(db_start(tree->store->db, &q,
					 "SELECT parent, first, epoch, sealed FROM node_pack", ""),
			0);
	while (db_next(tree->store->db, q) > 0) {
		struct node_pack *pack = &rows->pack[rows->packs++];
		assert_true(rows->packs < TREE_PACKS_MAX);
		pack->parent = (uint64_t)sqlite3_column_int64(q, 0);
		pack->first = (uint64_t)sqlite3_column_int64(q, 1);
		pack->epoch = (uint64_t)sqlite3_column_int64(q, 2);
		pack->len = (size_t)sqlite3_column_bytes(q, 3);
		assert_in_range(pack->len, 1, sizeof(pack->sealed));
		memcpy(pack->sealed, sqlite3_column_blob(q, 3), pack->len);
	}
}

void tree_save(struct tree *tree, struct tree_rows *rows)
{
	save_rows(tree, rows);
	save_packs(tree, rows);
}

/* The search. */

struct found {
	uint8_t key[KEYS_MAX][NODE_KEY_BYTES];
	size_t n;
};

static void find(struct found *found, const uint8_t *key)
{
	for (size_t i = 0; i < found->n; i++) {
		if (memcmp(found->key[i], key, NODE_KEY_BYTES) == 0)
			return;
	}
	assert_true(found->n < KEYS_MAX);
	memcpy(found->key[found->n++], key, NODE_KEY_BYTES);
}

static void try_row(struct found *found, const uint8_t *key, const struct node_row *row)
{
	struct node_position place = {row->parent, row->id, row->epoch};
	uint8_t opened[NODE_KEY_BYTES];

	if (key_seal_open_node(key, &place, row->sealed, opened) == 0)
		find(found, opened);
}

static void try_pack(struct found *found, const uint8_t *key, const struct node_pack *pack)
{
	struct node_position place = {pack->parent, pack->first, pack->epoch};
	uint8_t opened[NODE_PACK_BYTES_MAX];

	if (key_seal_open_pack(key, &place, pack->sealed, pack->len, opened) < 0)
		return;
	for (size_t at = 0; at < pack->len - SEAL_OVERHEAD_BYTES; at += NODE_ENTRY_BYTES)
		find(found, opened + at + 8);
}

bool tree_reaches(const struct tree_rows *rows, const uint8_t root[static NODE_KEY_BYTES],
		const uint8_t key[static NODE_KEY_BYTES])
{
	struct found found = {.n = 0};

	find(&found, root);
	for (size_t at = 0; at < found.n; at++) {
		if (memcmp(found.key[at], key, NODE_KEY_BYTES) == 0)
			return true;
		for (size_t i = 0; i < rows->n; i++)
			try_row(&found, found.key[at], &rows->row[i]);
		for (size_t i = 0; i < rows->packs; i++)
			try_pack(&found, found.key[at], &rows->pack[i]);
	}
	return false;
}
