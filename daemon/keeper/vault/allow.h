/* Allows the name of a shredded account again: it becomes the name of a new account, with a handle
 * and keys of its own. The tombstone stays, without its lookup hash; nothing that was sealed for it
 * comes back. A recording of the former account that arrives from then on is sealed for the new
 * one, because all that a recording says of its account is the name. */
#pragma once

#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/audit_log.h"

struct allow_order {
	const struct account_row *tombstone;
	const void *name; /* of the tombstone: accounts_find() found it by this name */
	size_t len;
	struct audit_actor actor;
};

/* On record in the audit log, durable on return. The caller clears the new account's row. -ENOENT
 * when the account is no tombstone; -errno, -RE_*. */
int allow_account(struct keytree *tree, const struct audit_log *audit,
		const struct allow_order *order, int64_t now_us, uint64_t epoch,
		struct account_row *ret_row);
