/* The key tree's rows: each node's key, sealed under its parent's. Two sets: the present one, and
 * the staged one of an epoch commit under way (the re-sealed children of every re-keyed parent). */
#pragma once

#include <stdint.h>

#include "storage/db.h"

#define NODE_SEALED_BYTES 72

struct node_row {
	uint64_t parent, id;
	uint64_t epoch; /* in which it was sealed */
	uint8_t sealed[NODE_SEALED_BYTES];
};

/* 0, -ENOENT. */
int node_get(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row);
int node_get_staged(struct db *db, uint64_t parent, uint64_t id, struct node_row *ret_row);

/* Adds a present row; -EEXIST when there is one. In the caller's transaction. */
int node_add(struct db *db, const struct node_row *row);

/* Calls each for the children of parent in id order; a negative result ends it and is returned. */
typedef int (*node_visit)(void *context, const struct node_row *row);
int node_children(struct db *db, uint64_t parent, node_visit visit, void *context);
int node_children_staged(struct db *db, uint64_t parent, node_visit visit, void *context);

/* Staging, in the caller's transaction: names a parent as re-keyed, and adds its re-sealed
 * children. */
int node_stage_parent(struct db *db, uint64_t parent);
int node_stage(struct db *db, const struct node_row *row);

/* 1 when anything is staged, 0 when not. */
int node_any_staged(struct db *db);

/* Replaces the children of every re-keyed parent by the staged ones, and empties the stage. Or
 * empties it. */
int node_apply_staged(struct db *db);
int node_discard_staged(struct db *db);

/* Removes all present children of a parent that is itself gone. */
int node_drop_children(struct db *db, uint64_t parent);
