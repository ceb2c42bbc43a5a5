#include "daemon/keeper/keytree.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "storage/node_table.h"

_Static_assert(NODE_SEALED_BYTES == SEALED_KEY_BYTES, "storage keeps what crypto seals");

struct keytree {
	struct db *db;
	uint64_t epoch;
	uint8_t root[NODE_KEY_BYTES];
	uint8_t walk[NODE_KEY_BYTES]; /* the key of the node a walk has reached */
	uint64_t damaged;             /* the node whose row last failed to open in a staging */
};

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

uint64_t keytree_damaged(const struct keytree *tree)
{
	return tree->damaged;
}

uint64_t keytree_epoch(const struct keytree *tree)
{
	return tree->epoch;
}

static int open_row(const struct node_row *row, const uint8_t parent_key[static NODE_KEY_BYTES],
	uint8_t *ret_key)
{
	struct node_place place = {row->parent, row->id, row->epoch};

	return node_key_open(parent_key, &place, row->sealed, ret_key);
}

static void seal_row(uint64_t parent, uint64_t id, uint64_t epoch, const uint8_t *parent_key,
	const uint8_t *key, struct node_row *ret_row)
{
	struct node_place place = {parent, id, epoch};

	*ret_row = (struct node_row){.parent = parent, .id = id, .epoch = epoch};
	node_key_seal(parent_key, &place, key, ret_row->sealed);
}

typedef int (*row_getter)(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row);

/* Walks down the present rows; key holds the root's key on entry and the leaf's on success. */
static int walk_down(struct db *db, const struct key_path *path, uint8_t key[static NODE_KEY_BYTES])
{
	uint64_t parent = NODE_ROOT;

	for (unsigned i = 0; i < path->depth; i++) {
		struct node_row row;
		int r = node_get(db, parent, path->node[i], &row);
		if (r == 0)
			r = open_row(&row, key, key);
		if (r < 0)
			return r;
		parent = path->node[i];
	}
	return 0;
}

int keytree_open(
	struct keytree *tree, const struct key_path *path, uint8_t ret_key[static NODE_KEY_BYTES])
{
	memcpy(tree->walk, tree->root, NODE_KEY_BYTES);
	int r = walk_down(tree->db, path, tree->walk);
	if (r == 0)
		memcpy(ret_key, tree->walk, NODE_KEY_BYTES);
	sodium_memzero(tree->walk, NODE_KEY_BYTES);
	return r;
}

/* Everything of one node that a root leads to: its key by the present row, by the staged one, or
 * both. */
struct reach {
	uint8_t key[2][NODE_KEY_BYTES];
	unsigned n;
};

/* Adds what the row opens to under any of the parent's keys. */
static void extend(const struct reach *parent, const struct node_row *row, struct reach *child)
{
	for (unsigned i = 0; i < parent->n && child->n < ELEMENTSOF(child->key); i++) {
		if (open_row(row, parent->key[i], child->key[child->n]) == 0)
			child->n++;
	}
}

static int reach_child(struct db *db, uint64_t parent_id, uint64_t id, const struct reach *parent,
	struct reach *child)
{
	static const row_getter getters[] = {node_get, node_get_staged};

	child->n = 0;
	for (size_t i = 0; i < ELEMENTSOF(getters); i++) {
		struct node_row row;
		int r = getters[i](db, parent_id, id, &row);
		if (r == 0)
			extend(parent, &row, child);
		else if (r != -ENOENT)
			return r;
	}
	return child->n > 0 ? 0 : -ENOENT;
}

int keytree_try(
	struct db *db, const uint8_t root[static NODE_KEY_BYTES], const struct key_path *path)
{
	_cleanup_secret_ struct reach *reach = secret_new((KEY_PATH_MAX + 1) * sizeof(*reach));
	uint64_t parent = NODE_ROOT;
	int r = reach ? 0 : -RE_MLOCK;

	if (r < 0)
		return r;
	memcpy(reach[0].key[0], root, NODE_KEY_BYTES);
	reach[0].n = 1;
	for (unsigned i = 0; i < path->depth && r == 0; i++) {
		r = reach_child(db, parent, path->node[i], &reach[i], &reach[i + 1]);
		parent = path->node[i];
	}
	return r;
}

/* Adds one node under the parent whose key is in walk; walk then holds the new key. */
static int add_one(
	struct keytree *tree, uint64_t parent, uint64_t id, const uint8_t *key, uint8_t *fresh)
{
	struct node_row row;

	if (key)
		memcpy(fresh, key, NODE_KEY_BYTES);
	else
		randombytes_buf(fresh, NODE_KEY_BYTES);
	seal_row(parent, id, tree->epoch, tree->walk, fresh, &row);
	int r = node_add(tree->db, &row);
	if (r == 0)
		memcpy(tree->walk, fresh, NODE_KEY_BYTES);
	return r;
}

int keytree_add(
	struct keytree *tree, const struct key_path *path, const uint8_t *key, uint8_t *ret_key)
{
	_cleanup_secret_ uint8_t *fresh = secret_new(NODE_KEY_BYTES);
	uint64_t parent = NODE_ROOT;
	int r = fresh ? 0 : -RE_MLOCK;

	memcpy(tree->walk, tree->root, NODE_KEY_BYTES);
	for (unsigned i = 0; i < path->depth && r == 0; i++) {
		bool leaf = i + 1 == path->depth;
		struct node_row row;
		r = leaf ? -ENOENT : node_get(tree->db, parent, path->node[i], &row);
		if (r == 0)
			r = open_row(&row, tree->walk, tree->walk);
		else if (r == -ENOENT)
			r = add_one(tree, parent, path->node[i], leaf ? key : NULL, fresh);
		parent = path->node[i];
	}
	if (r == 0 && ret_key)
		memcpy(ret_key, tree->walk, NODE_KEY_BYTES);
	sodium_memzero(tree->walk, NODE_KEY_BYTES);
	return r;
}

/* Staging: a walk over exactly the nodes above a victim. Each level holds its node's old and fresh
 * key. */
struct level {
	uint8_t old[NODE_KEY_BYTES], fresh[NODE_KEY_BYTES];
};

struct staging {
	struct keytree *tree;
	struct db *db;
	uint64_t epoch; /* the next one */
	const struct key_path *victims;
	unsigned depth;      /* of the parent whose children are being visited */
	size_t next, end;    /* victims below that parent, not yet passed */
	struct level *level; /* KEY_PATH_MAX + 1 of them; secret */
};

static int stage_children(struct staging *s, uint64_t parent);

/* Victims are sorted as the children are: those at or below this child are the next ones, if any.
 */
static size_t count_at(const struct staging *s, uint64_t child)
{
	size_t i = s->next;

	while (i < s->end && s->victims[i].node[s->depth] == child)
		i++;
	return i - s->next;
}

static int stage_child(void *context, const struct node_row *row)
{
	struct staging *s = context;
	struct level *here = &s->level[s->depth], *child = &s->level[s->depth + 1];
	struct node_row sealed;

	while (s->next < s->end && s->victims[s->next].node[s->depth] < row->id)
		s->next++; /* a victim that is not there */
	size_t n = count_at(s, row->id);
	if (n > 0 && s->victims[s->next].depth == s->depth + 1) {
		s->next += n;
		return 0; /* erased, and everything below it: its row is not staged */
	}
	int r = open_row(row, here->old, child->old);
	if (r == -RE_CORRUPT)
		s->tree->damaged = row->id;
	if (r < 0)
		return r;
	if (n > 0)
		randombytes_buf(child->fresh, NODE_KEY_BYTES);
	seal_row(row->parent, row->id, s->epoch, here->fresh, n > 0 ? child->fresh : child->old,
		&sealed);
	r = node_stage(s->db, &sealed);
	if (r < 0 || n == 0)
		return r;
	struct staging below = *s;
	below.depth++;
	below.end = s->next + n;
	s->next += n;
	return stage_children(&below, row->id);
}

static int stage_children(struct staging *s, uint64_t parent)
{
	int r = node_stage_parent(s->db, parent);

	return r < 0 ? r : node_children(s->db, parent, stage_child, s);
}

static int compare(const void *a, const void *b)
{
	return key_path_compare(a, b);
}

int keytree_stage(struct keytree *tree, struct key_path *victims, size_t n,
	uint8_t ret_root[static NODE_KEY_BYTES], uint8_t ret_top[static DB_DIGEST_BYTES])
{
	_cleanup_secret_ struct level *level = secret_new((KEY_PATH_MAX + 1) * sizeof(*level));
	struct staging s = {.tree = tree,
		.db = tree->db,
		.epoch = tree->epoch + 1,
		.victims = victims,
		.end = n,
		.level = level};

	if (!level)
		return -RE_MLOCK;
	tree->damaged = 0;
	if (n > 0)
		qsort(victims, n, sizeof(*victims), compare);
	memcpy(level[0].old, tree->root, NODE_KEY_BYTES);
	randombytes_buf(level[0].fresh, NODE_KEY_BYTES);
	int r = stage_children(&s, NODE_ROOT);
	if (r == 0)
		r = keytree_top_digest(tree->db, true, ret_top);
	if (r == 0)
		memcpy(ret_root, level[0].fresh, NODE_KEY_BYTES);
	return r;
}

void keytree_advance(struct keytree *tree, const uint8_t root[static NODE_KEY_BYTES])
{
	memcpy(tree->root, root, NODE_KEY_BYTES);
	tree->epoch++;
}

static int hash_row(void *context, const struct node_row *row)
{
	uint8_t numbers[24];

	put_le64(numbers, row->parent);
	put_le64(numbers + 8, row->id);
	put_le64(numbers + 16, row->epoch);
	crypto_generichash_update(context, numbers, sizeof(numbers));
	crypto_generichash_update(context, row->sealed, sizeof(row->sealed));
	return 0;
}

int keytree_top_digest(struct db *db, bool staged, uint8_t ret_digest[static DB_DIGEST_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, DB_DIGEST_BYTES);
	int r = staged ? node_children_staged(db, NODE_ROOT, hash_row, &state)
		       : node_children(db, NODE_ROOT, hash_row, &state);
	if (r == 0)
		crypto_generichash_final(&state, ret_digest, DB_DIGEST_BYTES);
	return r;
}

int keytree_check_top(struct db *db, bool staged, const uint8_t root[static NODE_KEY_BYTES],
	const uint8_t digest[static DB_DIGEST_BYTES])
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	struct key_path leaf = key_path_lookup();
	uint8_t found[DB_DIGEST_BYTES];
	struct node_row row;
	int r = key ? keytree_top_digest(db, staged, found) : -RE_MLOCK;

	if (r < 0)
		return r;
	if (sodium_memcmp(found, digest, sizeof(found)) != 0)
		return -RE_EPOCH;
	r = staged ? node_get_staged(db, NODE_ROOT, leaf.node[0], &row)
		   : node_get(db, NODE_ROOT, leaf.node[0], &row);
	if (r == 0)
		r = open_row(&row, root, key);
	return r == -ENOENT || r == -RE_CORRUPT ? -RE_EPOCH : r;
}
