#include "daemon/keeper/root/objects_place.h"

#include <errno.h>
#include <inttypes.h>
#include <syslog.h>

#include "base/error.h"
#include "storage/tables/catalog.h"

/* Whether this vault has ever written to its folder, apart from its first witness. */
static int place_was_used(const struct root *root)
{
	uint8_t newest[ULID_BYTES];
	int r = root_epoch(root) > 1 ? 0 : catalog_recording_newest(root->db, newest);

	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

static int place_look_at_witness(const struct root *root, struct reason *reason)
{
	const char *dir = root->settings.objects_dir;
	uint64_t witnessed;
	int r = object_store_witness_get(root->store, &witnessed);

	if (r < 0)
		return reason_set_error(reason, -ENOMEDIUM, "cannot read %s", dir);
	int used = witnessed == 0 ? place_was_used(root) : 0;
	if (used < 0)
		return used;
	if (used > 0)
		return reason_set(reason, -ENOMEDIUM,
				"%s is not the folder with this vault's objects: there is no "
				"epoch-%" PRIu64 " file in it. Is its volume mounted? Nothing is "
				"sealed until it is; the keeper finds it by itself",
				dir, root_epoch(root));
	if (witnessed > root_epoch(root))
		return reason_set(reason, -ENOMEDIUM,
				"%s is not the folder with this vault's objects: it has seen "
				"epoch %" PRIu64 ", and this vault is at epoch %" PRIu64,
				dir, witnessed, root_epoch(root));
	return 0;
}

static int place_look(struct root *root, int checked, struct reason *reason)
{
	const char *dir = root->settings.objects_dir;
	int r = checked < 0 ? object_store_follow(root->store) : 0;

	if (r < 0)
		return reason_set(reason, -ENOMEDIUM,
				"%s is not the folder any more that it was, with this vault's "
				"objects (%s): was its volume unmounted? Nothing is sealed until "
				"it is back; the keeper finds it by itself",
				dir, r == -ENODATA ? "it has no epoch file" : error_text(r));
	return place_look_at_witness(root, reason);
}

static void place_tell(struct root *root, bool away, const struct reason *reason)
{
	if (away)
		notices_keep_problem(root->notices, "%s", reason->text);
	if (root->objects != OBJECTS_UNSEEN || away)
		notices_tell(root->notices, away ? LOG_ERR : LOG_NOTICE, EVENT_PLAIN, NULL, "%s%s",
				away ? reason->text : root->settings.objects_dir,
				away ? "" : " is the folder with this vault's objects again");
}

int objects_place_check(struct root *root, struct reason *reason)
{
	int checked = object_store_check(root->store);
	struct reason why = {""};

	if (checked == 0 && root->objects == OBJECTS_THERE)
		return 0;
	int r = place_look(root, checked, &why);
	enum objects_state state = r < 0 ? OBJECTS_AWAY : OBJECTS_THERE;
	if (state != root->objects)
		place_tell(root, r < 0, &why);
	root->objects = state;
	return r < 0 ? reason_set(reason, r, "%s", reason_text(&why, r)) : 0;
}
