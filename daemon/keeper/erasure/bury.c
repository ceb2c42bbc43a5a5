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
		/* Keys first: once the group's row is gone nothing leads to them any more. */
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
	/* Asked in every stride: the database may have been altered since the last one. */
	int r = gate_check_burial(db, &burial, reason);
	if (r == 0)
		r = burial_table_stride(db, &burial, asked, &looked_at);
	if (r < 0)
		return r;
	*left -= looked_at;
	if (looked_at == asked)
		return 0; /* there may be more */
	/* The recordings are buried; what is left are the groups of the account and its own
	 * keys. */
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
	/* Begun only when there is something to do: an idle keeper writes nothing. */
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

int bury_objects(struct db *db, struct object_store *store, size_t max, bool *ret_more,
		struct reason *reason)
{
	uint8_t(*ulids)[ULID_BYTES] = calloc(max, sizeof(*ulids));
	size_t n = 0;
	int r = ulids ? erasure_table_list_removals(db, ulids, max, &n) : -ENOMEM;

	/* All are checked before the first is removed: an altered database removes nothing. */
	for (size_t i = 0; i < n && r == 0; i++)
		r = gate_check_object(db, ulids[i], reason);
	for (size_t i = 0; i < n && r == 0; i++)
		r = object_store_remove(store, ulids[i]);
	/* Durable before the list forgets them: else an object could come back, and nobody would
	 * remove it. */
	if (r == 0 && n > 0)
		r = object_store_sync_removed(store);
	if (r == 0 && n > 0)
		r = db_begin(db);
	for (size_t i = 0; i < n && r == 0; i++)
		r = erasure_table_removal_done(db, ulids[i]);
	if (r == 0 && n > 0)
		r = db_commit(db);
	if (r < 0)
		db_rollback(db);
	free(ulids);
	if (r == 0)
		*ret_more = n == max;
	return r;
}
