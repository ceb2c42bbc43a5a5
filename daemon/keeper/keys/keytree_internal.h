/* Between the files of the key tree only. */
#pragma once

#include "daemon/keeper/keys/key_pack.h"
#include "daemon/keeper/keys/keytree.h"

/* In secret memory. */
struct keytree {
	struct db *db;
	uint64_t epoch;
	uint8_t root[NODE_KEY_BYTES];
	uint8_t walk[NODE_KEY_BYTES]; /* the key of the node a walk has reached */
	struct key_pack pack;         /* the one it looked into last */
	enum keytree_damage damage;   /* met in the latest staging */
	uint64_t damaged;
};

/* Opens a child's own row; ret_key, untouched on failure, may be the parent's. */
int keytree_open_row(const struct node_row *row, const uint8_t parent_key[static NODE_KEY_BYTES],
		uint8_t *ret_key);
