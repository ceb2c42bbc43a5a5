#include "daemon/keeper/erasure/bury.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "daemon/keeper/keys/key_path.h"
#include "storage/tables/burial_table.h"
#include "storage/tables/erasure_table.h"
#include "storage/tables/node_table.h"

/* The rows of keys below a node go at once: those of a group's members, or one for each group of an
 * account. They lie together, and so count as some few of the recordings', which do not. */
#define GROUP_COST 8
#define GROUPS_MAX 64

static int drop_keys_below(struct vault *vault, enum erasure_kind kind, int64_t id)
{
	enum node_kind node = kind == ERASE_ACCOUNT ? NODE_KIND_ACCOUNT : NODE_KIND_GROUP;

	return node_table_drop_children(vault->db, node_id(node, (uint64_t)id));
}

/* An account's groups, and the keys below them. 1 when all are gone, 0 when there may be more. */
static int drop_groups(struct vault *vault, int64_t account, int64_t *left)
{
	int64_t groups[GROUPS_MAX];
	size_t n, max = (size_t)(1 + *left / GROUP_COST);

	max = max < GROUPS_MAX ? max : GROUPS_MAX;
	int r = catalog_group_some(vault->db, account, groups, max, &n);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = drop_keys_below(vault, ERASE_GROUP, groups[i]);
		if (r == 0)
			r = catalog_group_drop(vault->db, groups[i]);
	}
	*left -= (int64_t)n * GROUP_COST;
	return r < 0 ? r : n < max;
}

/* Goes on with the next one for as long as anything is left of the stride. 1 when there is none. */
static int bury_next(struct vault *vault, int64_t *left)
{
	struct burial burial;
	int64_t asked = *left, looked_at;
	int found = burial_table_next(vault->db, &burial);

	if (found <= 0)
		return found < 0 ? found : 1;
	int r = burial_table_stride(vault->db, &burial, asked, &looked_at);
	if (r < 0)
		return r;
	*left -= looked_at;
	if (looked_at == asked)
		return 0; /* there may be more */
	int gone = burial.kind == ERASE_ACCOUNT ? drop_groups(vault, burial.id, left) : 1;
	if (gone <= 0)
		return gone;
	*left -= GROUP_COST;
	r = drop_keys_below(vault, burial.kind, burial.id);
	return r < 0 ? r : burial_table_done(vault->db, &burial);
}

int bury_rows(struct vault *vault, int64_t max, bool *ret_more)
{
	struct burial burial;
	int64_t left = max;
	int r = burial_table_next(vault->db, &burial);

	if (r <= 0) {
		if (r == 0)
			*ret_more = false;
		return r;
	}
	r = db_begin(vault->db);
	while (r == 0 && left > 0)
		r = bury_next(vault, &left);
	bool more = r == 0;
	if (r >= 0)
		r = db_commit(vault->db);
	if (r < 0) {
		db_rollback(vault->db);
		return r;
	}
	*ret_more = more;
	return 0;
}

int bury_objects(struct vault *vault, size_t max, bool *ret_more)
{
	uint8_t(*ulids)[ULID_BYTES] = calloc(max, sizeof(*ulids));
	size_t n = 0;
	int r = ulids ? erasure_table_list_removals(vault->db, ulids, max, &n) : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++)
		r = vault->store->ops->remove(vault->store, ulids[i]);
	if (r == 0 && n > 0)
		r = vault->store->ops->sync(vault->store);
	if (r == 0 && n > 0)
		r = db_begin(vault->db);
	for (size_t i = 0; i < n && r == 0; i++)
		r = erasure_table_removal_done(vault->db, ulids[i]);
	if (r == 0 && n > 0)
		r = db_commit(vault->db);
	if (r < 0)
		db_rollback(vault->db);
	free(ulids);
	if (r == 0)
		*ret_more = n == max;
	return r;
}
