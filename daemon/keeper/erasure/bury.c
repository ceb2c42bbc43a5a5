#include "daemon/keeper/erasure/bury.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "daemon/keeper/erasure/gate.h"
#include "daemon/keeper/keys/key_path.h"
#include "storage/tables/burial_table.h"
#include "storage/tables/erasure_table.h"
#include "storage/tables/node_table.h"

/* The rows of keys below a node go at once: those of a group's members, or one for each group of an
 * account. They lie together, and so count as some few of the recordings', which do not. */
#define GROUP_COST 8
#define GROUPS_MAX 64

static int bury_drop_keys(struct db *db, enum erasure_kind kind, int64_t id)
{
	enum node_kind node = kind == ERASE_ACCOUNT ? NODE_KIND_ACCOUNT : NODE_KIND_GROUP;

	return node_table_drop_children(db, key_path_node_id(node, (uint64_t)id));
}

/* An account's groups, and the keys below them. 1 when all are gone, 0 when there may be more. */
static int bury_drop_groups(struct db *db, int64_t account, int64_t *left)
{
	int64_t groups[GROUPS_MAX];
	size_t n, max = (size_t)(1 + *left / GROUP_COST);

	max = max < GROUPS_MAX ? max : GROUPS_MAX;
	int r = catalog_group_some(db, account, groups, max, &n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = bury_drop_keys(db, ERASE_GROUP, groups[i]);
		if (r == 0)
			r = catalog_group_drop(db, groups[i]);
	}
	*left -= (int64_t)n * GROUP_COST;
	return r < 0 ? r : n < max;
}

/* Goes on with the next one for as long as anything is left of the stride. 1 when there is none. */
static int bury_next(struct db *db, int64_t *left, struct reason *reason)
{
	struct burial burial;
	int64_t asked = *left, looked_at;
	int found = burial_table_next(db, &burial);

	if (found <= 0)
		return found < 0 ? found : 1;
	int r = gate_check_burial(db, &burial, reason);
	if (r == 0)
		r = burial_table_stride(db, &burial, asked, &looked_at);
	if (r < 0)
		return r;
	*left -= looked_at;
	if (looked_at == asked)
		return 0; /* there may be more */
	int gone = burial.kind == ERASE_ACCOUNT ? bury_drop_groups(db, burial.id, left) : 1;
	if (gone <= 0)
		return gone;
	*left -= GROUP_COST;
	r = bury_drop_keys(db, burial.kind, burial.id);
	return r < 0 ? r : burial_table_done(db, &burial);
}

int bury_rows(struct db *db, int64_t max, bool *ret_more, struct reason *reason)
{
	struct burial burial;
	int64_t left = max;
	int r = burial_table_next(db, &burial);

	if (r <= 0) {
		if (r == 0)
			*ret_more = false;
		return r;
	}
	r = db_begin(db);
	while (r == 0 && left > 0)
		r = bury_next(db, &left, reason);
	bool more = r == 0;
	if (r >= 0)
		r = db_commit(db);
	if (r < 0) {
		db_rollback(db);
		return r;
	}
	*ret_more = more;
	return 0;
}

int bury_objects_take(
		struct db *db, size_t max, struct bury_objects *ret_batch, struct reason *reason)
{
	struct bury_objects batch = {.ulids = calloc(max, sizeof(*batch.ulids))};
	int r = batch.ulids ? erasure_table_list_removals(db, batch.ulids, max, &batch.n) : -ENOMEM;

	/* All are checked before the first is removed: an altered database removes nothing. */
	for (size_t i = 0; i < batch.n && r == 0; i++)
		r = gate_check_object(db, batch.ulids[i], reason);
	if (r < 0) {
		bury_objects_free(&batch);
		return r;
	}
	batch.more = batch.n == max;
	*ret_batch = batch;
	return 0;
}

int bury_objects_remove(struct object_store *store, const struct bury_objects *batch)
{
	int r = 0;

	for (size_t i = 0; i < batch->n && r == 0; i++)
		r = object_store_remove(store, batch->ulids[i]);
	/* Durable before the list forgets them: else an object could come back, and nobody would
	 * remove it. */
	return r == 0 && batch->n > 0 ? object_store_sync_removed(store) : r;
}

int bury_objects_done(struct db *db, const struct bury_objects *batch)
{
	int r = batch->n > 0 ? db_begin(db) : 0;

	for (size_t i = 0; i < batch->n && r == 0; i++)
		r = erasure_table_removal_done(db, batch->ulids[i]);
	if (r == 0 && batch->n > 0)
		r = db_commit(db);
	if (r < 0)
		db_rollback(db);
	return r;
}

void bury_objects_free(struct bury_objects *batch)
{
	free(batch->ulids);
	*batch = (struct bury_objects){0};
}

int bury_objects(struct db *db, struct object_store *store, size_t max, bool *ret_more,
		struct reason *reason)
{
	struct bury_objects batch = {0};
	int r = bury_objects_take(db, max, &batch, reason);

	if (r == 0)
		r = bury_objects_remove(store, &batch);
	if (r == 0)
		r = bury_objects_done(db, &batch);
	if (r == 0)
		*ret_more = batch.more;
	bury_objects_free(&batch);
	return r;
}
