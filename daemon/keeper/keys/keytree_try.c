/* The proof of an erasure: a search for the erased with the new root. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree_internal.h"

#define SETS 2 /* present, staged */

/* Of one node, the pack of its children that was looked at last. */
struct looked {
	bool tried; /* under every key of the node's */
	uint64_t first;
	struct key_pack pack; /* empty if none of them opens it */
};

/* Everything of one node that the root leads to: its key by the present row, by the present pack,
 * by the staged one. */
struct reach {
	uint64_t id;
	uint8_t key[1 + SETS][NODE_KEY_BYTES];
	unsigned n;
	struct looked looked[SETS];
};

static void trial_add_key(struct reach *reach, const uint8_t key[static NODE_KEY_BYTES])
{
	memcpy(reach->key[reach->n++], key, NODE_KEY_BYTES);
}

static int trial_open_row(struct db *db, const struct reach *parent, struct reach *child)
{
	struct node_row row;
	int r = node_table_get(db, parent->id, child->id, &row);

	for (unsigned i = 0; i < parent->n && r == 0; i++) {
		/* Under any key that was found for the parent: a leak needs only one. */
		if (keytree_open_row(&row, parent->key[i], child->key[child->n]) == 0) {
			child->n++;
			break;
		}
	}
	return r == -ENOENT ? 0 : r;
}

static int trial_look_into(struct db *db, enum node_set set, const struct reach *parent,
		uint64_t id, struct looked *looked)
{
	struct node_pack sealed;
	int r = node_table_pack_get(db, set, parent->id, id, &sealed);

	looked->tried = r == 0;
	looked->pack.n = 0;
	if (r < 0)
		return r;
	looked->first = sealed.first;
	for (unsigned i = 0; i < parent->n; i++) {
		if (key_pack_open(&looked->pack, &sealed, parent->key[i]) == 0)
			break;
	}
	return 0;
}

static int trial_open_pack(
		struct db *db, enum node_set set, struct reach *parent, struct reach *child)
{
	struct looked *looked = &parent->looked[set];
	uint64_t first = 0;
	int r = looked->tried ? node_table_pack_find(db, set, parent->id, child->id, &first) : 0;

	if (r == 0 && (!looked->tried || looked->first != first))
		r = trial_look_into(db, set, parent, child->id, looked);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	const uint8_t *key = key_pack_find(&looked->pack, child->id);
	if (key)
		trial_add_key(child, key);
	return 0;
}

static void trial_arrive(struct reach *reach, uint64_t id)
{
	reach->id = id;
	reach->n = 0;
	for (size_t i = 0; i < SETS; i++)
		reach->looked[i].tried = false;
}

static int trial_reach_child(struct db *db, struct reach *parent, uint64_t id, struct reach *child)
{
	trial_arrive(child, id);
	int r = trial_open_row(db, parent, child);
	if (r == 0)
		r = trial_open_pack(db, NODE_PRESENT, parent, child);
	if (r == 0)
		r = trial_open_pack(db, NODE_STAGED, parent, child);
	if (r < 0)
		return r;
	return child->n > 0 ? 0 : -ENOENT;
}

/* reach[0] to reach[*reached] hold the way down an earlier path, and afterwards down this one, as
 * far as it goes. */
static int trial_follow_path(
		struct db *db, struct reach *reach, unsigned *reached, const struct key_path *path)
{
	unsigned depth = 0;
	int r = 0;

	/* What this path shares with the one before is not opened again. */
	while (depth < *reached && depth < path->depth && reach[depth + 1].id == path->node[depth])
		depth++;
	while (depth < path->depth && r == 0) {
		*reached = depth;
		r = trial_reach_child(db, &reach[depth], path->node[depth], &reach[depth + 1]);
		if (r == 0)
			*reached = ++depth;
	}
	return r;
}

int keytree_try(struct db *db, const uint8_t root[static NODE_KEY_BYTES],
		const struct key_path *paths, size_t n)
{
	_cleanup_secret_ struct reach *reach = secret_new((KEY_PATH_MAX + 1) * sizeof(*reach));
	unsigned reached = 0;
	int r = reach ? -ENOENT : -RE_MLOCK;

	if (!reach)
		return r;
	trial_arrive(&reach[0], NODE_ROOT);
	trial_add_key(&reach[0], root);
	for (size_t i = 0; i < n && r == -ENOENT; i++)
		r = trial_follow_path(db, reach, &reached, &paths[i]);
	return r;
}
