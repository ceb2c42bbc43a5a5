#include "daemon/keeper/erasure/assign.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/expiry.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/audit.h"
#include "storage/tables/former_node.h"

struct assignment {
	const struct recording_row *row;
	const struct account_row *account;
	uid_t uid;
	const char *reason;
};

static struct former_node former_place(const struct recording_row *row)
{
	return (struct former_node){row->account, row->group, row->id};
}

/* Why it was in quarantine is past. Damaged private data stays as it is: it is no reason to keep
 * the recording from its account. */
static int forget_quarantine(
		struct vault *vault, const struct recording_row *row, const uint8_t *key)
{
	struct recording_private private = {0};
	_cleanup_free_ uint8_t *sealed = NULL;
	size_t bytes;
	int r = recordings_private(vault, row, &private);

	if (r < 0)
		return r == -RE_CORRUPT ? 0 : r;
	free(private.quarantine_reason);
	private.quarantine_reason = NULL;
	r = recordings_seal_private(&private, key, row->id, &sealed, &bytes);
	recording_private_clear(&private);
	return r < 0 ? r : catalog_recording_set_private(vault->db, row->id, sealed, bytes);
}

static int audit(struct vault *vault, const struct assignment *a, const char *action,
		const char *subject)
{
	struct audit_record record = {.at_us = clock_now_us(&vault->clock),
			.uid = a->uid,
			.action = action,
			.subject = subject,
			.reason = a->reason,
			.epoch = vault_epoch(vault)};

	return audit_append(vault->db, &record);
}

/* What was moved, and to whom: two records, since one has one subject. */
static int audit_both(struct vault *vault, const struct assignment *a)
{
	char id[ULID_TEXT_CHARS + 1], handle[ACCOUNT_HANDLE_CHARS + 1];

	ulid_format(a->row->ulid, id);
	account_handle_format(a->account->handle, handle);
	int r = audit(vault, a, "move recording", id);
	return r < 0 ? r : audit(vault, a, "assign to account", handle);
}

/* In the transaction that stages the epoch: the key's new place, the catalog, and the former place.
 */
static int move(struct vault *vault, void *context)
{
	const struct assignment *a = context;
	const struct recording_row *row = a->row;
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	struct key_path from = key_path_recording(row->account, row->group, row->id);
	int64_t keep_us = row->expires_us - row->sealed_us, group;
	bool created;
	int r = key ? keytree_open(vault->tree, &from, key) : -RE_MLOCK;

	if (r == -ENOENT)
		r = -RE_CORRUPT; /* it lives, so there must be one */
	if (r == 0)
		r = forget_quarantine(vault, row, key);
	if (r == 0)
		r = catalog_group_for(vault->db, a->account->id,
				expiry_bucket(row->expires_us, keep_us), row->expires_us, &group,
				&created);
	if (r == 0)
		r = catalog_recording_move(
				vault->db, row->id, a->account->id, group, RECORDING_SEALED);
	if (r < 0)
		return r;
	struct key_path to = key_path_recording(a->account->id, group, row->id);
	struct former_node left = former_place(row);
	r = keytree_add(vault->tree, &to, key, NULL);
	if (r == 0)
		r = former_node_add(vault->db, &left);
	return r < 0 ? r : audit_both(vault, a);
}

int assign_recording(struct vault *vault, const struct recording_row *row,
		const struct account_row *account, uid_t uid, const char *reason,
		struct erasure_result *ret_result)
{
	struct assignment assignment = {row, account, uid, reason};

	return erasure_run_with(vault, move, &assignment, ret_result);
}

int assign_is_noted(struct vault *vault, const struct recording_row *row)
{
	struct former_node left = former_place(row);

	return former_node_is_noted(vault->db, &left);
}
