/* Staging: a walk over exactly the nodes above a victim, parents before children. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree_internal.h"

/* Of the node that the walk has reached at a depth: its old key, under which its children are
 * opened, and its fresh one, under which those that stay are sealed. */
struct level {
	uint8_t old[NODE_KEY_BYTES], fresh[NODE_KEY_BYTES];
	struct key_pack in, out;
};

struct staging {
	struct keytree *tree;
	const struct key_path *victims;
};

/* All children of one parent in id order: those with rows merged with those in packs. */
struct visit {
	struct staging *staging;
	struct level *level; /* the parent's, and behind it those of the nodes below; secret */
	uint64_t parent;
	unsigned depth;
	size_t next, end; /* victims below the parent, not yet passed */
	struct node_row *row;
	size_t rows, row_at;
	size_t in_at;     /* in the pack that is open */
	uint64_t in_from; /* where to look for the next one, */
	bool in_done;     /* if there is any */
	uint64_t last;    /* child */
};

struct child {
	uint64_t id;
	const struct node_row *row; /* not opened yet; or NULL and */
	const uint8_t *key;
};

static int stage_children(struct visit *visit);

static int stage_note_damage(
		const struct visit *visit, int r, enum keytree_damage damage, uint64_t node)
{
	struct keytree *tree = visit->staging->tree;

	if (r == -RE_CORRUPT && tree->damage == KEYTREE_WHOLE) {
		tree->damage = damage;
		tree->damaged = node;
	}
	return r;
}

/* When the pack that is open is used up, opens the next one. 1, or 0 when there is none. */
static int stage_fill_pack(struct visit *visit)
{
	struct key_pack *in = &visit->level->in;
	struct node_pack sealed;

	if (visit->in_at < in->n || visit->in_done)
		return !visit->in_done;
	int r = node_table_pack_next(visit->staging->tree->db, NODE_PRESENT, visit->parent,
			visit->in_from, &sealed);
	if (r == 0)
		r = key_pack_open(in, &sealed, visit->level->old);
	visit->in_done = r == -ENOENT;
	if (r < 0)
		return visit->in_done ? 0
				      : stage_note_damage(
							visit, r, KEYTREE_CHILDREN, visit->parent);
	visit->in_at = 0;
	visit->in_from = sealed.first + 1;
	return 1;
}

/* 1, or 0 when there are no more. */
static int stage_next_child(struct visit *visit, struct child *ret_child)
{
	const struct key_pack *in = &visit->level->in;
	const struct node_row *row =
			visit->row_at < visit->rows ? &visit->row[visit->row_at] : NULL;
	int packed = stage_fill_pack(visit);
	struct child child;

	if (packed < 0 || (!packed && !row))
		return packed;
	if (!packed || (row && row->id < key_pack_id(in, visit->in_at))) {
		child = (struct child){.id = row->id, .row = row};
		visit->row_at++;
	} else {
		child = (struct child){.id = key_pack_id(in, visit->in_at),
				.key = key_pack_key(in, visit->in_at)};
		visit->in_at++;
	}
	/* The same child twice: one copy of its key would be found, and the other erased. */
	if (child.id <= visit->last)
		return stage_note_damage(visit, -RE_CORRUPT, KEYTREE_NODE, child.id);
	/* Merging two ordered lists gives one ordered list, which the victims are matched
	 * against. */
	visit->last = child.id;
	*ret_child = child;
	return 1;
}

/* Seals what has been collected under the parent's fresh key. */
static int stage_flush_pack(struct visit *visit)
{
	struct keytree *tree = visit->staging->tree;
	struct level *here = visit->level;
	struct node_pack sealed;

	if (here->out.n == 0)
		return 0;
	key_pack_seal(&here->out, visit->parent, tree->epoch + 1, here->fresh, &sealed);
	here->out.n = 0;
	return node_table_stage_pack(tree->db, &sealed);
}

static int stage_keep_child(
		struct visit *visit, uint64_t id, const uint8_t key[static NODE_KEY_BYTES])
{
	int r = visit->level->out.n == NODE_PACK_CHILDREN ? stage_flush_pack(visit) : 0;

	if (r == 0)
		key_pack_add(&visit->level->out, id, key);
	return r;
}

/* Victims are sorted as the children are: those at or below this child are the next ones, if any.
 */
static size_t victims_count_at(struct visit *visit, uint64_t child)
{
	const struct key_path *victims = visit->staging->victims;

	while (visit->next < visit->end && victims[visit->next].node[visit->depth] < child)
		visit->next++; /* a victim that is not there */
	size_t i = visit->next;
	while (i < visit->end && victims[i].node[visit->depth] == child)
		i++;
	return i - visit->next;
}

static int stage_child(struct visit *visit, const struct child *child)
{
	struct level *below = visit->level + 1;
	size_t n = victims_count_at(visit, child->id), first = visit->next;
	int r = 0;

	visit->next += n;
	if (n > 0 && visit->staging->victims[first].depth == visit->depth + 1)
		return 0; /* erased, and everything below it: it is not staged */
	if (child->row)
		r = keytree_open_row(child->row, visit->level->old, below->old);
	else
		memcpy(below->old, child->key, NODE_KEY_BYTES);
	if (r < 0)
		return stage_note_damage(visit, r, KEYTREE_NODE, child->id);
	if (n == 0)
		return stage_keep_child(visit, child->id, below->old);
	/* A key above a victim is replaced: the old one would open the victim in an old copy. */
	randombytes_buf(below->fresh, NODE_KEY_BYTES);
	r = stage_keep_child(visit, child->id, below->fresh);
	struct visit next = {.staging = visit->staging,
			.level = below,
			.parent = child->id,
			.depth = visit->depth + 1,
			.next = first,
			.end = first + n,
			.in_from = NODE_ID_FIRST};
	return r < 0 ? r : stage_children(&next);
}

static int stage_children(struct visit *visit)
{
	struct keytree *tree = visit->staging->tree;
	struct child child;
	/* Even when all children are erased: applying must empty this node. */
	int r = node_table_stage_parent(tree->db, visit->parent, tree->epoch + 1);

	visit->level->in.n = 0;
	visit->level->out.n = 0;
	if (r == 0)
		r = node_table_list(tree->db, visit->parent, &visit->row, &visit->rows);
	if (r < 0)
		return stage_note_damage(visit, r, KEYTREE_CHILDREN, visit->parent);
	while ((r = stage_next_child(visit, &child)) > 0) {
		r = stage_child(visit, &child);
		if (r < 0)
			break;
	}
	free(visit->row);
	return r < 0 ? r : stage_flush_pack(visit);
}

static int victims_compare(const void *a, const void *b)
{
	return key_path_compare(a, b);
}

int keytree_stage(struct keytree *tree, struct key_path *victims, size_t n,
		uint8_t ret_root[static NODE_KEY_BYTES], uint8_t ret_top[static DB_DIGEST_BYTES])
{
	_cleanup_secret_ struct level *level = secret_new((KEY_PATH_MAX + 1) * sizeof(*level));
	struct staging staging = {.tree = tree, .victims = victims};
	struct visit top = {.staging = &staging,
			.level = level,
			.parent = NODE_ROOT,
			.end = n,
			.in_from = NODE_ID_FIRST};

	if (!level)
		return -RE_MLOCK;
	tree->damage = KEYTREE_WHOLE;
	/* In the order in which the walk meets them, so one pass suffices. */
	if (n > 0)
		qsort(victims, n, sizeof(*victims), victims_compare);
	memcpy(level[0].old, tree->root, NODE_KEY_BYTES);
	randombytes_buf(level[0].fresh, NODE_KEY_BYTES);
	int r = stage_children(&top);
	if (r == 0)
		r = keytree_top_digest(tree->db, true, ret_top);
	if (r == 0)
		memcpy(ret_root, level[0].fresh, NODE_KEY_BYTES);
	return r;
}
