#include "daemon/keeper/erasure/erasure_damage.h"

#include "base/error.h"
#include "daemon/keeper/keys/keytree.h"

void erasure_damage_explain(const struct root *root, struct reason *reason)
{
	uint64_t damaged;
	enum keytree_damage damage = keytree_damaged(root->tree, &damaged);
	char node[64];

	key_path_node_describe(damaged, node, sizeof(node));
	switch (damage) {
	case KEYTREE_WHOLE:
		reason_set(reason, 0, "the erasure cannot be staged: %s", error_text(-RE_CORRUPT));
		break;
	case KEYTREE_NODE:
		reason_set(reason, 0,
				"the key of %s in keeper.db is damaged: nothing beside it can be "
				"erased until keeper.db is restored from a copy made after the "
				"last erasure",
				node);
		break;
	case KEYTREE_CHILDREN:
		reason_set(reason, 0,
				"keys right below %s in keeper.db are damaged: nothing there can "
				"be erased until keeper.db is restored from a copy made after the "
				"last erasure",
				node);
		break;
	}
}
