/* The record of a change: the table of mirrors, and the audit log. */
#include <syslog.h>

#include "daemon/keeper/erasure/mirror_change_internal.h"

/* One change of the table, and its record, in a transaction. */

static int change_apply(struct root *root, struct mirror_row *row, enum mirror_change change)
{
	switch (change) {
	case MIRROR_CHANGE_ADD:
		return mirror_table_add(root->db, row);
	case MIRROR_CHANGE_PUT:
		return mirror_table_put(root->db, row);
	case MIRROR_CHANGE_REMOVE:
		break;
	}
	return mirror_table_remove(root->db, row->id);
}

int mirror_change_write(struct root *root, struct mirror_row *row, enum mirror_change change,
		const struct mirror_order *order, const char *action)
{
	const struct audit_actor actor = {order->uid, order->reason};
	int r = change_apply(root, row, change);

	return r < 0 ? r
		     : audit_log_append(&root->audit, &actor, action, row->name, root_epoch(root));
}

int mirror_change_record_owed(struct root *root, struct mirror_row *row, enum mirror_change change,
		const struct mirror_order *order, const char *action, bool owed)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	if (r == 0)
		r = mirror_change_write(root, row, change, order, action);
	if (r == 0 && owed)
		r = mirror_table_set_changed(root->db, root_epoch(root));
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r < 0)
		return r;
	/* After the commit: the journal does not report what may be rolled back. */
	notices_tell(root->notices, LOG_NOTICE, EVENT_PLAIN, NULL, "%s: %s (%s), by uid %u", action,
			row->name, row->location, (unsigned)order->uid);
	return 0;
}

int mirror_change_record(struct root *root, struct mirror_row *row, enum mirror_change change,
		const struct mirror_order *order, const char *action)
{
	return mirror_change_record_owed(root, row, change, order, action, false);
}
