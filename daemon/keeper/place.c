#include "daemon/keeper/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/ulid.h"
#include "daemon/keeper/keytree.h"
#include "storage/place_table.h"

/* The spool's name, a NUL, the path. */
static uint8_t *place_bytes(const struct recording_private *private, size_t *ret_len)
{
	size_t spool_len = strlen(private->spool) + 1;
	uint8_t *bytes = malloc(spool_len + private->path_len);

	if (!bytes)
		return NULL;
	memcpy(bytes, private->spool, spool_len);
	memcpy(bytes + spool_len, private->path, private->path_len);
	*ret_len = spool_len + private->path_len;
	return bytes;
}

static int hash_place(struct vault *vault, int64_t account, const struct recording_private *private,
	uint8_t ret_lookup[static CATALOG_LOOKUP_BYTES])
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	struct key_path path = key_path_profile(account);
	size_t len;
	_cleanup_free_ uint8_t *bytes = place_bytes(private, &len);

	if (!bytes)
		return -ENOMEM;
	int r = key ? keytree_open(vault->tree, &path, key) : -RE_MLOCK;
	if (r == 0)
		lookup_hash(key, "place", bytes, len, ret_lookup);
	return r == -ENOENT ? -RE_CORRUPT : r;
}

int place_take(
	struct vault *vault, const struct recording_row *row, struct recording_private *private)
{
	uint8_t lookup[CATALOG_LOOKUP_BYTES], before_ulid[ULID_BYTES];
	char text[ULID_TEXT_CHARS + 1];
	int64_t before;
	int r = hash_place(vault, row->account, private, lookup);

	if (r == 0)
		r = place_assign(vault->db, lookup, row->id, &before);
	if (r < 0 || before == 0)
		return r;
	r = recording_ulid(vault->db, before, before_ulid);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	ulid_format(before_ulid, text);
	free(private->follows);
	private->follows = strdup(text);
	return private->follows ? 0 : -ENOMEM;
}
