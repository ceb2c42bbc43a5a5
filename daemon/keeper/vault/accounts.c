#include "daemon/keeper/vault/accounts.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/ulid.h"

_Static_assert(ACCOUNT_HANDLE_CHARS == ULID_TEXT_CHARS, "a handle is written like a ULID");
_Static_assert(CATALOG_HANDLE_BYTES == ULID_BYTES, "a handle is written like a ULID");

/* A profile: version byte, then the name. */
#define PROFILE_VERSION 1

void account_handle_format(const uint8_t handle[static CATALOG_HANDLE_BYTES],
		char ret_text[static ACCOUNT_HANDLE_CHARS + 1])
{
	ulid_format(handle, ret_text);
}

const char *account_state_name(enum account_state state)
{
	static const char *const names[] = {[ACCOUNT_OPEN] = "open",
			[ACCOUNT_CLOSED] = "closed",
			[ACCOUNT_RESTRICTED] = "restricted",
			[ACCOUNT_DELETED] = "deleted",
			[ACCOUNT_QUARANTINE] = "quarantine"};

	return names[state];
}

static int account_hash_name(struct keytree *tree, const char *domain, const void *name, size_t len,
		uint8_t ret_lookup[static CATALOG_LOOKUP_BYTES])
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	struct key_path path = key_path_lookup();
	int r = key ? keytree_open(tree, &path, key) : -RE_MLOCK;

	if (r == 0)
		key_seal_lookup_hash(key, domain, name, len, ret_lookup);
	return r;
}

int accounts_find(struct keytree *tree, const void *name, size_t len, struct account_row *ret_row)
{
	uint8_t lookup[CATALOG_LOOKUP_BYTES];
	int r = account_hash_name(tree, "account", name, len, lookup);

	return r < 0 ? r : catalog_account_by_lookup(keytree_db(tree), lookup, ret_row);
}

/* Undoes text_printable(): \xNN and \\. Returns the length, or -EINVAL. */
static ssize_t text_unescape(const char *text, uint8_t *ret_bytes, size_t room)
{
	size_t n = 0;

	for (; *text; n++) {
		if (n == room)
			return -EINVAL;
		if (*text != '\\') {
			ret_bytes[n] = (uint8_t)*text++;
		} else if (text[1] == '\\') {
			ret_bytes[n] = '\\';
			text += 2;
		} else if (text[1] == 'x' && isxdigit((unsigned char)text[2]) &&
				isxdigit((unsigned char)text[3])) {
			char digits[3] = {text[2], text[3], 0};
			ret_bytes[n] = (uint8_t)strtoul(digits, NULL, 16);
			text += 4;
		} else {
			return -EINVAL;
		}
	}
	return (ssize_t)n;
}

int accounts_find_typed(struct keytree *tree, const char *text, struct account_row *ret_row)
{
	uint8_t name[ACCOUNT_NAME_MAX], handle[CATALOG_HANDLE_BYTES];
	ssize_t len = text_unescape(text, name, sizeof(name));
	int r = len > 0 ? accounts_find(tree, name, (size_t)len, ret_row) : -ENOENT;

	if ((r != 0 && r != -ENOENT) || ulid_parse(text, handle) < 0)
		return r;
	/* A handle is what is printed; a spool's folder may be named like somebody else's. */
	struct account_row by_handle;
	int found = catalog_account_by_handle(keytree_db(tree), handle, &by_handle);
	if (found == -ENOENT)
		return r;
	if (r == 0)
		catalog_account_clear(ret_row);
	if (found == 0)
		*ret_row = by_handle;
	return found;
}

/* Adds the row, then the profile's key, then the profile, which is bound to the row's id. */
static int account_add_with_profile(
		struct keytree *tree, struct account_row *row, const void *name, size_t len)
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	uint8_t plain[1 + ACCOUNT_NAME_MAX], sealed[sizeof(plain) + SEAL_OVERHEAD_BYTES];
	int r = key ? catalog_account_add(keytree_db(tree), row) : -RE_MLOCK;

	if (r < 0)
		return r;
	struct key_path path = key_path_profile(row->id);
	r = keytree_add(tree, &path, NULL, key);
	if (r < 0)
		return r;
	plain[0] = PROFILE_VERSION;
	memcpy(plain + 1, name, len);
	key_seal_record(key, RECORD_ACCOUNT_PROFILE, (uint64_t)row->id, plain, 1 + len, sealed);
	/* The name is personal data, and this memory is not locked. */
	sodium_memzero(plain, sizeof(plain));
	return catalog_account_set_profile(
			keytree_db(tree), row->id, sealed, 1 + len + SEAL_OVERHEAD_BYTES);
}

void accounts_new_handle(uint8_t ret_handle[static CATALOG_HANDLE_BYTES])
{
	randombytes_buf(ret_handle, CATALOG_HANDLE_BYTES);
}

int accounts_add(struct keytree *tree, int64_t now_us,
		const uint8_t handle[static CATALOG_HANDLE_BYTES], const void *name, size_t len,
		struct account_row *ret_row)
{
	struct account_row row = {.state = ACCOUNT_OPEN, .created_us = now_us};

	if (len == 0 || len > ACCOUNT_NAME_MAX)
		return -EINVAL;
	int r = account_hash_name(tree, "account", name, len, row.lookup);
	if (r < 0)
		return r;
	memcpy(row.handle, handle, sizeof(row.handle));
	r = account_add_with_profile(tree, &row, name, len);
	return r < 0 ? r : catalog_account_by_id(keytree_db(tree), row.id, ret_row);
}

int accounts_create_quarantine(struct keytree *tree, int64_t now_us, int64_t *ret_id)
{
	static const char name[] = "(quarantine)";
	struct account_row row = {.state = ACCOUNT_QUARANTINE, .created_us = now_us};
	int r = account_hash_name(tree, "quarantine", "", 0, row.lookup);

	if (r == 0) {
		randombytes_buf(row.handle, sizeof(row.handle));
		r = account_add_with_profile(tree, &row, name, sizeof(name) - 1);
	}
	if (r == 0)
		*ret_id = row.id;
	return r;
}

int accounts_find_quarantine(struct keytree *tree, int64_t *ret_id)
{
	uint8_t lookup[CATALOG_LOOKUP_BYTES];
	struct account_row row;
	int r = account_hash_name(tree, "quarantine", "", 0, lookup);

	if (r == 0)
		r = catalog_account_by_lookup(keytree_db(tree), lookup, &row);
	if (r < 0)
		return r == -ENOENT ? -RE_CORRUPT : r;
	*ret_id = row.id;
	catalog_account_clear(&row);
	return 0;
}

int accounts_name_bytes(struct keytree *tree, const struct account_row *row,
		uint8_t ret_name[static ACCOUNT_NAME_MAX], size_t *ret_len)
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	uint8_t plain[1 + ACCOUNT_NAME_MAX];
	struct key_path path = key_path_profile(row->id);

	if (!row->profile)
		return -RE_GONE;
	if (row->profile_bytes < 1 + SEAL_OVERHEAD_BYTES ||
			row->profile_bytes > sizeof(plain) + SEAL_OVERHEAD_BYTES)
		return -RE_CORRUPT;
	int r = key ? keytree_open(tree, &path, key) : -RE_MLOCK;
	if (r == 0)
		r = key_seal_open_record(key, RECORD_ACCOUNT_PROFILE, (uint64_t)row->id,
				row->profile, row->profile_bytes, plain);
	/* The key was erased with the account; the row stays as its tombstone. */
	if (r < 0)
		return r == -ENOENT ? -RE_GONE : r;
	if (plain[0] != PROFILE_VERSION)
		return -RE_CORRUPT;
	*ret_len = row->profile_bytes - SEAL_OVERHEAD_BYTES - 1;
	memcpy(ret_name, plain + 1, *ret_len);
	return 0;
}

int accounts_name(struct keytree *tree, const struct account_row *row, char **ret_name)
{
	uint8_t name[ACCOUNT_NAME_MAX];
	size_t len;
	int r = accounts_name_bytes(tree, row, name, &len);

	if (r < 0)
		return r;
	char *text = text_printable(name, len);
	if (!text)
		return -ENOMEM;
	*ret_name = text;
	return 0;
}
