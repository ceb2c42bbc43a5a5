#include "daemon/keeper/root/root.h"

#include <errno.h>

#include "base/error.h"
#include "base/secret.h"
#include "storage/tables/row_mac.h"

_Static_assert(ROW_MAC_KEY_BYTES == NODE_KEY_BYTES, "a key of the tree");

bool root_is_stuck(const struct root *root)
{
	return root->stuck || db_in_doubt(root->db);
}

uint64_t root_epoch(const struct root *root)
{
	return keytree_epoch(root->tree);
}

int root_trust_rows(struct root *root, bool staged, const uint8_t key[static NODE_KEY_BYTES],
		bool created)
{
	_cleanup_secret_ uint8_t *row_key = secret_new(NODE_KEY_BYTES);
	struct key_path leaf = key_path_catalog();
	int r = row_key ? keytree_open_top(root->db, staged, key, &leaf, row_key) : -RE_MLOCK;

	if (r < 0)
		return r == -ENOENT ? -RE_CORRUPT : r;
	return row_mac_start(root->db, row_key, created);
}

void root_close(struct root *root)
{
	root->tree = keytree_free(root->tree);
	root->copies = root_set_free(root->copies);
}
