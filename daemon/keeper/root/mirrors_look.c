/* Looking at the copies of the root: for `root show` and `root test`, which anybody may call as
 * often as they like. It reads, and writes nothing. */
#include <errno.h>

#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch_slots.h"
#include "daemon/keeper/root/mirrors.h"

static int look_at_root(struct root *root, size_t i)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	int r = record ? epoch_slot_get(root, i, root->slot, record) : -RE_MLOCK;

	if (r < 0)
		return r;
	if (r == 0)
		return -RE_CORRUPT;
	if (record->epoch != root_epoch(root))
		return -RE_EPOCH;
	return keytree_check_top(root->db, false, record->key, record->top_digest);
}

static void look_at_member(struct root *root, size_t i, struct mirrors_seen *ret_seen)
{
	const struct root_member *member = &root->copies->member[i];
	struct reason why = {""};
	int r;

	if (!member->provider) {
		*ret_seen = (struct mirrors_seen){.why = member->why_away};
		return;
	}
	r = mirrors_check_there(root, i, &why);
	if (r == 0 && (r = look_at_root(root, i)) < 0)
		reason_set(&why, r, "%s", root_set_reason(root->copies, i, r));
	ret_seen->there = r == 0;
	reason_clear(&ret_seen->why);
	if (r < 0)
		reason_set(&ret_seen->why, r, "%s", reason_text(&why, r));
}

void mirrors_look(struct root *root, struct mirrors_seen ret_seen[static ROOT_MEMBERS_MAX])
{
	for (size_t i = 0; i < root->copies->n; i++)
		look_at_member(root, i, &ret_seen[i]);
}
