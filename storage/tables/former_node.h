/* Nodes of the key tree that recordings have left: a recording was given to another account, its
 * key hangs there now, and its former node is still to be erased. The catalog loses nothing with a
 * former node, so it is no erasure (erasure_table.h), though every epoch carries out both. All in
 * the caller's transaction. */
#pragma once

#include "storage/tables/catalog.h"

struct former_node {
	int64_t account, group, recording;
};

int former_node_add(struct db *db, const struct former_node *former);
/* 1 when it is still to be erased, 0 when not. */
int former_node_is_noted(struct db *db, const struct former_node *former);
int former_node_each(struct db *db, int (*visit)(void *context, const struct former_node *former),
		void *context);
/* All of them are erased: counts each out of its group, and forgets them. */
int former_node_finish(struct db *db);
