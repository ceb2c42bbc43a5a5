/* The key tree's rows: each node's key, sealed under its parent's.
 *
 * A child that was added since its parent was last re-keyed has a row of its own. Those that were
 * there are sealed together, in packs of at most NODE_PACK_CHILDREN in id order: the first pack has
 * the least ids, and so on. Re-keying a parent leaves packs only.
 *
 * Two sets of packs: the present one, and the staged one of an epoch commit under way, told apart
 * by the epoch of the staging, so that applying it writes none of them again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "storage/tables/db.h"

#define NODE_SEALED_BYTES     72
#define NODE_PACK_CHILDREN    256
#define NODE_PACK_CHILD_BYTES 40 /* id and key */
#define NODE_PACK_OVERHEAD    40 /* of a sealed pack: nonce and tag */
#define NODE_PACK_BYTES_MAX   (NODE_PACK_OVERHEAD + NODE_PACK_CHILDREN * NODE_PACK_CHILD_BYTES)

struct node_row {
	uint64_t parent, id;
	uint64_t epoch; /* in which it was sealed */
	uint8_t sealed[NODE_SEALED_BYTES];
};

struct node_pack {
	uint64_t parent, first; /* first: the least id in it */
	uint64_t epoch;
	size_t len; /* of sealed; that of a whole number of children, at least one */
	uint8_t sealed[NODE_PACK_BYTES_MAX];
};

/* No id is less in the order of the tables, which is signed: not even one that damage made. */
#define NODE_ID_FIRST ((uint64_t)INT64_MIN)

enum node_set { NODE_PRESENT, NODE_STAGED };

/* 0, -ENOENT; -RE_CORRUPT for a row of another size. */
int node_table_get(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row);

/* Adds a row; -EEXIST when there is one. In the caller's transaction. */
int node_table_add(struct db *db, const struct node_row *row);

/* The rows of a parent's children in id order; malloc'd, the caller's, NULL when there are none. */
int node_table_list(struct db *db, uint64_t parent, struct node_row **ret_rows, size_t *ret_count);

/* The one of the parent's packs that an id can be in: the last that begins with it or before it. 0,
 * -ENOENT; -RE_CORRUPT for one whose size is not that of a pack. */
int node_table_pack_get(struct db *db, enum node_set set, uint64_t parent, uint64_t id,
		struct node_pack *ret_pack);
/* Only where it begins. */
int node_table_pack_find(struct db *db, enum node_set set, uint64_t parent, uint64_t id,
		uint64_t *ret_first);

/* The first of the parent's packs that begins with this id or behind it. As
 * node_table_pack_get(). */
int node_table_pack_next(struct db *db, enum node_set set, uint64_t parent, uint64_t from,
		struct node_pack *ret_pack);

/* Staging, in the caller's transaction: names a parent as re-keyed for this epoch, and adds its
 * packs. The epoch is the same for all that is staged, and later than that of anything present. */
int node_table_stage_parent(struct db *db, uint64_t parent, uint64_t epoch);
int node_table_stage_pack(struct db *db, const struct node_pack *pack);

/* 1 when anything is staged, 0 when not. */
int node_table_any_staged(struct db *db);

/* Apply: replaces the rows and packs of every re-keyed parent by the staged packs, and empties the
 * stage. Discard: only empties it. */
int node_table_apply_staged(struct db *db);
int node_table_discard_staged(struct db *db);

/* Removes all present rows and packs of a parent that is itself gone. */
int node_table_drop_children(struct db *db, uint64_t parent);
