#include "daemon/keeper/erasure/root_move.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "daemon/keeper/root/root_main.h"
#include "storage/root/root_pair.h"

/* The pair's slot 0 is the present root's, slot 1 is in the new location. */
static int move_pair_with(struct root *root, struct root_provider *fresh)
{
	struct root_provider *const both[ROOT_SLOTS] = {root->copies->member[0].provider, fresh};
	const unsigned slot[ROOT_SLOTS] = {root->slot, 0};
	struct root_provider *pair = root_pair_new(both, slot);

	if (!pair)
		return -ENOMEM;
	root_set_exchange(root->copies, 0, pair);
	root->slot = 0;
	return 0;
}

int root_move(struct eraser *eraser, struct reason *reason)
{
	static const struct audit_actor keeper = {0, NULL};
	struct root *root = eraser->root;
	struct root_provider *fresh = NULL;
	struct erasure_result result;

	/* The pair below stands for one copy; slots of mirrors cannot be paired with it. */
	if (root->copies->n > 1)
		return reason_set(reason, -RE_REFUSED,
				"the root has mirrors: drop them first, and add them again after "
				"the move");
	if (root_main_is_file(root) != (strcmp(root->settings.kind, "tpm2") == 0))
		return 0;
	int r = root_main_create(root, &fresh, reason);
	/* From here on both locations are one provider, and the epoch writes to both. */
	if (r == 0)
		r = move_pair_with(root, fresh);
	if (r < 0) {
		root_provider_free(fresh);
		reason_prefix(reason, "cannot make a new location for the root");
		return r;
	}
	/* An epoch without items: its fresh root goes to the new location, the old one is
	 * overwritten. */
	r = erasure_run(eraser, NULL, 0, &result, reason);
	if (r < 0)
		return reason_set(reason, r,
				"cannot move the root: %s; start the keeper again to finish or "
				"undo the move",
				error_text(r));
	/* The old location holds no root any more, so it can be removed. */
	r = root_main_settle(root, reason);
	return r < 0 ? r
		     : audit_log_append_alone(&root->audit, &keeper, "move root",
				       root->copies->assurance, root_epoch(root));
}
