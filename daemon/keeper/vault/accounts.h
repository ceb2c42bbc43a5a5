/* Accounts by name: names are bytes, found by keyed hash, readable only while the account's keys
 * live. A second keyed hash, of what the name looks like (name_look.h), finds look-alikes; it goes
 * with the account, while the first one stays with its tombstone. */
#pragma once

#include <sys/types.h>

#include "daemon/keeper/keys/keytree.h"
#include "storage/tables/catalog.h"

#define ACCOUNT_NAME_MAX     255
#define ACCOUNT_HANDLE_CHARS 26 /* ULID alphabet */

/* Finds by name bytes. 0, -ENOENT; the caller clears the row. */
int accounts_find(struct keytree *tree, const void *name, size_t len, struct account_row *ret_row);

/* Finds by what a person types: a handle, else a name in printable form (as accounts_name() gives
 * it). */
int accounts_find_typed(struct keytree *tree, const char *text, struct account_row *ret_row);

/* The bytes of a name in printable form. Their number, or -EINVAL when it is no such form, empty,
 * or too long. */
ssize_t accounts_parse_name(const char *text, uint8_t ret_name[static ACCOUNT_NAME_MAX]);

/* What finds the look-alikes of a name (catalog_account_next_alike()). */
int accounts_look(struct keytree *tree, const void *name, size_t len,
		uint8_t ret_look[static CATALOG_LOOKUP_BYTES]);

/* Makes a new, open account with its keys and sealed profile, as of now_us, in the caller's
 * transaction. The handle is a fresh one (accounts_new_handle()). */
int accounts_add(struct keytree *tree, int64_t now_us,
		const uint8_t handle[static CATALOG_HANDLE_BYTES], const void *name, size_t len,
		struct account_row *ret_row);
/* The same for the name of an account that was shredded: its tombstone gives the name to a new
 * account with a handle and keys of its own. */
int accounts_add_again(struct keytree *tree, int64_t now_us, const struct account_row *tombstone,
		const void *name, size_t len, struct account_row *ret_row);
void accounts_new_handle(uint8_t ret_handle[static CATALOG_HANDLE_BYTES]);

/* The vault's quarantine, an account of its own: made with the vault, in the caller's transaction;
 * and found again at each start. */
int accounts_create_quarantine(struct keytree *tree, int64_t now_us, int64_t *ret_id);
int accounts_find_quarantine(struct keytree *tree, int64_t *ret_id);

/* The name in printable form, free() it. -RE_GONE after deletion; the quarantine's is
 * "(quarantine)". */
int accounts_name(struct keytree *tree, const struct account_row *row, char **ret_name);
/* The bytes of the name, and their number. The same errors. */
int accounts_name_bytes(struct keytree *tree, const struct account_row *row,
		uint8_t ret_name[static ACCOUNT_NAME_MAX], size_t *ret_len);

/* The name as the bridge spelled it. -RE_GONE, -RE_CORRUPT. */
int accounts_name_bytes(struct keytree *tree, const struct account_row *row,
		uint8_t ret_name[static ACCOUNT_NAME_MAX], size_t *ret_len);

void account_handle_format(const uint8_t handle[static CATALOG_HANDLE_BYTES],
		char ret_text[static ACCOUNT_HANDLE_CHARS + 1]);
const char *account_state_name(enum account_state state);
