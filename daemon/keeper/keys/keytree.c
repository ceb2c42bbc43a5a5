#include "daemon/keeper/keys/keytree_internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

_Static_assert(NODE_SEALED_BYTES == SEALED_KEY_BYTES, "storage keeps what crypto seals");

struct keytree *keytree_new(
		struct db *db, const uint8_t root[static NODE_KEY_BYTES], uint64_t epoch)
{
	struct keytree *tree = secret_new(sizeof(*tree));

	if (!tree)
		return NULL;
	tree->db = db;
	tree->epoch = epoch;
	memcpy(tree->root, root, NODE_KEY_BYTES);
	return tree;
}

struct keytree *keytree_free(struct keytree *tree)
{
	return secret_free(tree);
}

uint64_t keytree_epoch(const struct keytree *tree)
{
	return tree->epoch;
}

struct db *keytree_db(const struct keytree *tree)
{
	return tree->db;
}

enum keytree_damage keytree_damaged(const struct keytree *tree, uint64_t *ret_node)
{
	*ret_node = tree->damaged;
	return tree->damage;
}

int keytree_open_row(const struct node_row *row, const uint8_t parent_key[static NODE_KEY_BYTES],
		uint8_t *ret_key)
{
	struct node_position position = {row->parent, row->id, row->epoch};

	return key_seal_open_node(parent_key, &position, row->sealed, ret_key);
}

/* Opens a child's key from its own row, else from its parent's packs. pack is where to look into
 * these; ret_key, untouched on failure, may be the parent's. */
static int node_open_child(struct db *db, enum node_set set, struct key_pack *pack, uint64_t parent,
		uint64_t id, const uint8_t parent_key[static NODE_KEY_BYTES], uint8_t *ret_key)
{
	struct node_row row;
	int r = set == NODE_PRESENT ? node_table_get(db, parent, id, &row) : -ENOENT;

	if (r == 0)
		return keytree_open_row(&row, parent_key, ret_key);
	if (r == -ENOENT)
		r = key_pack_load(pack, db, set, parent, id, parent_key);
	if (r < 0)
		return r;
	const uint8_t *key = key_pack_find(pack, id);
	if (!key)
		return -ENOENT;
	memcpy(ret_key, key, NODE_KEY_BYTES);
	return 0;
}

/* One step down: walk holds the parent's key on entry, and the child's on success. */
static int walk_reach(struct keytree *tree, uint64_t parent, uint64_t id)
{
	return node_open_child(
			tree->db, NODE_PRESENT, &tree->pack, parent, id, tree->walk, tree->walk);
}

static void walk_end(struct keytree *tree)
{
	sodium_memzero(tree->walk, sizeof(tree->walk));
	sodium_memzero(&tree->pack, sizeof(tree->pack));
}

int keytree_open(struct keytree *tree, const struct key_path *path,
		uint8_t ret_key[static NODE_KEY_BYTES])
{
	uint64_t parent = NODE_ROOT;
	int r = 0;

	memcpy(tree->walk, tree->root, NODE_KEY_BYTES);
	for (unsigned i = 0; i < path->depth && r == 0; i++) {
		r = walk_reach(tree, parent, path->node[i]);
		parent = path->node[i];
	}
	if (r == 0)
		memcpy(ret_key, tree->walk, NODE_KEY_BYTES);
	/* Also on failure: the keys of the way down must not stay in memory. */
	walk_end(tree);
	return r;
}

/* Adds one node under the parent whose key is in walk; walk then holds the new key. */
static int node_add_one(struct keytree *tree, uint64_t parent, uint64_t id, const uint8_t *key,
		uint8_t *fresh)
{
	struct node_position position = {parent, id, tree->epoch};
	struct node_row row = {.parent = parent, .id = id, .epoch = tree->epoch};

	if (key)
		memcpy(fresh, key, NODE_KEY_BYTES);
	else
		randombytes_buf(fresh, NODE_KEY_BYTES);
	key_seal_node(tree->walk, &position, fresh, row.sealed);
	int r = node_table_add(tree->db, &row);
	if (r == 0)
		memcpy(tree->walk, fresh, NODE_KEY_BYTES);
	return r;
}

int keytree_add(struct keytree *tree, const struct key_path *path, const uint8_t *key,
		uint8_t *ret_key)
{
	_cleanup_secret_ uint8_t *fresh = secret_new(NODE_KEY_BYTES);
	uint64_t parent = NODE_ROOT;
	int r = fresh ? 0 : -RE_MLOCK;

	memcpy(tree->walk, tree->root, NODE_KEY_BYTES);
	for (unsigned i = 0; i < path->depth && r == 0; i++) {
		bool leaf = i + 1 == path->depth;
		r = walk_reach(tree, parent, path->node[i]);
		/* The leaf, or a node on the way that nothing was added below yet. */
		if (r == -ENOENT)
			r = node_add_one(tree, parent, path->node[i], leaf ? key : NULL, fresh);
		else if (r == 0 && leaf)
			r = -EEXIST;
		parent = path->node[i];
	}
	if (r == 0 && ret_key)
		memcpy(ret_key, tree->walk, NODE_KEY_BYTES);
	walk_end(tree);
	return r;
}

void keytree_advance(struct keytree *tree, const uint8_t root[static NODE_KEY_BYTES])
{
	memcpy(tree->root, root, NODE_KEY_BYTES);
	tree->epoch++;
}

/* The top. A row and a pack cannot be taken for each other: they differ in length. */

static void digest_add_sealed(crypto_generichash_state *state, uint64_t id, uint64_t epoch,
		const uint8_t *sealed, size_t len)
{
	uint8_t numbers[32];

	put_le64(numbers, NODE_ROOT);
	put_le64(numbers + 8, id);
	put_le64(numbers + 16, epoch);
	put_le64(numbers + 24, len);
	crypto_generichash_update(state, numbers, sizeof(numbers));
	crypto_generichash_update(state, sealed, len);
}

static int digest_add_rows(struct db *db, crypto_generichash_state *state)
{
	struct node_row *rows = NULL;
	size_t n = 0;
	int r = node_table_list(db, NODE_ROOT, &rows, &n);

	for (size_t i = 0; i < n; i++)
		digest_add_sealed(state, rows[i].id, rows[i].epoch, rows[i].sealed,
				sizeof(rows[i].sealed));
	free(rows);
	return r;
}

static int digest_add_packs(struct db *db, enum node_set set, crypto_generichash_state *state)
{
	struct node_pack pack;
	uint64_t from = NODE_ID_FIRST;
	int r;

	while ((r = node_table_pack_next(db, set, NODE_ROOT, from, &pack)) == 0) {
		digest_add_sealed(state, pack.first, pack.epoch, pack.sealed, pack.len);
		from = pack.first + 1;
	}
	return r == -ENOENT ? 0 : r;
}

int keytree_top_digest(struct db *db, bool staged, uint8_t ret_digest[static DB_DIGEST_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, DB_DIGEST_BYTES);
	int r = staged ? 0 : digest_add_rows(db, &state);
	if (r == 0)
		r = digest_add_packs(db, staged ? NODE_STAGED : NODE_PRESENT, &state);
	if (r == 0)
		crypto_generichash_final(&state, ret_digest, DB_DIGEST_BYTES);
	return r;
}

struct top {
	struct key_pack pack;
	uint8_t key[NODE_KEY_BYTES];
};

int keytree_check_top(struct db *db, bool staged, const uint8_t root[static NODE_KEY_BYTES],
		const uint8_t digest[static DB_DIGEST_BYTES])
{
	_cleanup_secret_ struct top *top = secret_new(sizeof(*top));
	struct key_path leaf = key_path_lookup();
	uint8_t found[DB_DIGEST_BYTES];
	int r = top ? keytree_top_digest(db, staged, found) : -RE_MLOCK;

	if (r < 0)
		return r;
	/* Compares everything right below the root, without opening it. */
	if (sodium_memcmp(found, digest, sizeof(found)) != 0)
		return -RE_EPOCH;
	/* One key is enough: all rows of the top are sealed under the same root. */
	r = node_open_child(db, staged ? NODE_STAGED : NODE_PRESENT, &top->pack, NODE_ROOT,
			leaf.node[0], root, top->key);
	return r == -ENOENT || r == -RE_CORRUPT ? -RE_EPOCH : r;
}
