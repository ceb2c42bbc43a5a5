#include "daemon/keeper/root/root.h"

uint64_t root_epoch(const struct root *root)
{
	return keytree_epoch(root->tree);
}

void root_close(struct root *root)
{
	root->tree = keytree_free(root->tree);
	root->copies = root_set_free(root->copies);
}
