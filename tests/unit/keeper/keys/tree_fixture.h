/* A small key tree with every kind of node, and the attacker's search through everything it ever
 * stored. */
#pragma once

#include "tests/unit/support/storage_fixture.h"

#include "daemon/keeper/keys/keytree.h"
#include "storage/tables/node_table.h"

#define TREE_PATHS_MAX 64
#define TREE_ROWS_MAX  256
#define TREE_PACKS_MAX 64

struct tree {
	struct store *store;
	struct keytree *keys;
	uint8_t root[NODE_KEY_BYTES];
	struct key_path paths[TREE_PATHS_MAX]; /* of every node, inner ones too */
	size_t n_paths;
};

/* cmocka setup and teardown; the state is a struct tree. Accounts 1 and 65537 share an L1; 2 shares
 * their L0; 300 is elsewhere. Each has a profile and two groups (numbered account * 10 + 1, 2) of
 * two recordings each (group * 10 + 1, 2). */
int tree_open(void **state);
int tree_close(void **state);
#define in_tree(test) cmocka_unit_test_setup_teardown(test, tree_open, tree_close)

/* The same nodes one epoch on, in packs; but the second recording of each group has a row of its
 * own again. */
int tree_open_packed(void **state);
#define in_packed_tree(test)                                                                       \
	{                                                                                          \
#test ", packed", test, tree_open_packed, tree_close, NULL                         \
	}
#define in_both(test) in_tree(test), in_packed_tree(test)

/* The key of every path; known is false where there is none. */
struct tree_snapshot {
	uint8_t key[TREE_PATHS_MAX][NODE_KEY_BYTES];
	bool known[TREE_PATHS_MAX];
};
void tree_snapshot(struct tree *tree, struct tree_snapshot *ret_snapshot);

/* One whole epoch on the tree alone: stage, proof, apply, advance. */
void tree_erase(struct tree *tree, struct key_path *victims, size_t n);

/* Rows and packs as an attacker saved them. */
struct tree_rows {
	struct node_row row[TREE_ROWS_MAX];
	size_t n;
	struct node_pack pack[TREE_PACKS_MAX];
	size_t packs;
};
void tree_save(struct tree *tree, struct tree_rows *rows); /* adds all present ones */

/* Whether any chain of openings, through any of these in any order, leads from the root to the
 * key. */
bool tree_reaches(const struct tree_rows *rows, const uint8_t root[static NODE_KEY_BYTES],
		const uint8_t key[static NODE_KEY_BYTES]);
