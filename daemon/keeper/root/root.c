#include "daemon/keeper/root/root.h"

bool root_is_stuck(const struct root *root)
{
	return root->stuck || db_in_doubt(root->db);
}

uint64_t root_epoch(const struct root *root)
{
	return keytree_epoch(root->tree);
}

void root_close(struct root *root)
{
	root->tree = keytree_free(root->tree);
	root->copies = root_set_free(root->copies);
}
