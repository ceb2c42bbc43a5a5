#include "daemon/keeper/vault/allow.h"

#include "storage/tables/db.h"

/* What is allowed, and as what: two records, since a record has one subject. */
static int allow_record(const struct audit_log *audit, const struct allow_order *order,
		const struct account_row *account, uint64_t epoch)
{
	char former[ACCOUNT_HANDLE_CHARS + 1], handle[ACCOUNT_HANDLE_CHARS + 1];

	account_handle_format(order->tombstone->handle, former);
	account_handle_format(account->handle, handle);
	int r = audit_log_append(audit, &order->actor, "allow shredded account", former, epoch);
	return r < 0 ? r : audit_log_append(audit, &order->actor, "as new account", handle, epoch);
}

int allow_account(struct keytree *tree, const struct audit_log *audit,
		const struct allow_order *order, int64_t now_us, uint64_t epoch,
		struct account_row *ret_row)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	struct account_row row;
	int r = db_transaction_begin(&transaction, keytree_db(tree));

	if (r == 0)
		r = accounts_add_again(
				tree, now_us, order->tombstone, order->name, order->len, &row);
	if (r < 0)
		return r;
	r = allow_record(audit, order, &row, epoch);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	if (r < 0)
		catalog_account_clear(&row);
	else
		*ret_row = row;
	return r;
}
