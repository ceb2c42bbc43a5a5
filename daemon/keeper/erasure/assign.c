#include "daemon/keeper/erasure/assign.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/former_node.h"

struct assignment {
	const struct root *root;
	const struct assign_order *order;
};

static struct former_node assign_former(const struct recording_row *row)
{
	return (struct former_node){row->account, row->group, row->id};
}

/* Why it was in quarantine is past. Private data that is damaged stays as it is: it is no reason to
 * keep the recording from its account. */
static int assign_forget_quarantine(
		struct keytree *tree, const struct recording_row *row, const uint8_t *key)
{
	struct recording_private private = {0};
	_cleanup_free_ uint8_t *sealed = NULL;
	size_t bytes;
	int r = recordings_private(tree, row, &private);

	if (r < 0)
		return r == -RE_CORRUPT ? 0 : r;
	free(private.quarantine_reason);
	private.quarantine_reason = NULL;
	r = recordings_seal_private(&private, key, row->id, &sealed, &bytes);
	recording_private_clear(&private);
	return r < 0 ? r : catalog_recording_set_private(keytree_db(tree), row->id, sealed, bytes);
}

/* What was moved, and to whom: two records, since a record has one subject. */
static int assign_record(const struct assignment *a)
{
	const struct assign_order *order = a->order;
	const struct audit_log *audit = &a->root->audit;
	uint64_t epoch = root_epoch(a->root);
	char id[ULID_TEXT_CHARS + 1], handle[ACCOUNT_HANDLE_CHARS + 1];

	ulid_format(order->row->ulid, id);
	account_handle_format(order->account->handle, handle);
	int r = audit_log_append(audit, &order->actor, "move recording", id, epoch);
	return r < 0 ? r
		     : audit_log_append(audit, &order->actor, "assign to account", handle, epoch);
}

/* In the transaction that stages the epoch: the key's new path, the catalog, and the former
 * path. */
static int assign_move(void *context)
{
	const struct assignment *a = context;
	const struct recording_row *row = a->order->row;
	struct keytree *tree = a->root->tree;
	struct db *db = a->root->db;
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	struct key_path from = key_path_recording(row->account, row->group, row->id);
	int64_t bucket, due_us, group;
	bool created;

	expiry_place(row, &bucket, &due_us);
	/* The key itself does not change, so the sealed object stays as it is. */
	int r = key ? keytree_open(tree, &from, key) : -RE_MLOCK;

	if (r == -ENOENT)
		r = -RE_CORRUPT; /* the recording lives, so there must be a key */
	if (r == 0)
		/* While the key is open: the private data is sealed again under the same key. */
		r = assign_forget_quarantine(tree, row, key);
	if (r == 0)
		r = catalog_group_for(db, a->order->account->id, bucket, due_us, &group, &created);
	if (r == 0)
		r = catalog_recording_move(
				db, row->id, a->order->account->id, group, RECORDING_SEALED);
	if (r < 0)
		return r;
	struct key_path to = key_path_recording(a->order->account->id, group, row->id);
	struct former_node left = assign_former(row);
	r = keytree_add(tree, &to, key, NULL);
	/* In the same transaction, so that the key's former path is never forgotten. */
	if (r == 0)
		r = former_node_add(db, &left);
	return r < 0 ? r : assign_record(a);
}

int assign_recording(struct eraser *eraser, const struct assign_order *order,
		struct erasure_result *ret_result, struct reason *reason)
{
	struct assignment assignment = {eraser->root, order};

	return erasure_run_with(eraser, assign_move, &assignment, ret_result, reason);
}

int assign_is_noted(struct db *db, const struct recording_row *row)
{
	struct former_node left = assign_former(row);

	return former_node_is_noted(db, &left);
}
