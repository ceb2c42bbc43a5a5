#include "daemon/keeper/erasure/erasure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/event.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/spool_places.h"
#include "storage/tables/audit.h"
#include "storage/tables/former_node.h"
#include "storage/tables/node_table.h"

/* Paths of everything that is noted for erasure. */
struct victims {
	struct key_path *paths;
	size_t count, room;
	bool destroys; /* not only former places */
};

/* What an epoch is made for; either part may be missing. */
struct order {
	const struct erasure_item *items;
	size_t n;
	uid_t uid;
	const char *reason;
	int (*prepare)(struct vault *vault, void *context);
	void *context;
};

static struct key_path path_of(const struct erasure_item *item)
{
	switch (item->kind) {
	case ERASE_ACCOUNT:
		return key_path_account(item->account);
	case ERASE_GROUP:
		return key_path_group(item->account, item->group);
	case ERASE_RECORDING:
		break;
	}
	return key_path_recording(item->account, item->group, item->recording);
}

static int add_victim(struct victims *victims, struct key_path path)
{
	if (victims->count == victims->room) {
		size_t room = victims->room ? 2 * victims->room : 64;
		struct key_path *paths = reallocarray(victims->paths, room, sizeof(*paths));
		if (!paths)
			return -ENOMEM;
		victims->paths = paths;
		victims->room = room;
	}
	victims->paths[victims->count++] = path;
	return 0;
}

static int collect_item(void *context, const struct erasure_item *item)
{
	struct victims *victims = context;

	victims->destroys = true;
	return add_victim(victims, path_of(item));
}

static int collect_place(void *context, const struct former_node *place)
{
	return add_victim(context,
			key_path_recording(place->account, place->group, place->recording));
}

/* All that is noted. */
static int collect(struct vault *vault, struct victims *victims)
{
	int r = erasure_table_each(vault->db, collect_item, victims);

	return r < 0 ? r : former_node_each(vault->db, collect_place, victims);
}

static int audit(struct vault *vault, const char *action, const char *subject, uid_t uid,
		const char *reason, uint64_t epoch)
{
	struct audit_record record = {.at_us = clock_now_us(&vault->clock),
			.uid = uid,
			.action = action,
			.subject = subject,
			.reason = reason,
			.epoch = epoch};

	return audit_append(vault->db, &record);
}

/* The recording's id where it is about one recording, else the account's handle. */
static int subject_of(struct vault *vault, const struct erasure_item *item,
		char ret_text[static ULID_TEXT_CHARS + 1])
{
	uint8_t ulid[ULID_BYTES];
	struct account_row row;
	int r = catalog_account_by_id(vault->db, item->account, &row);

	if (r < 0)
		return r;
	account_handle_format(row.handle, ret_text);
	catalog_account_clear(&row);
	if (item->kind != ERASE_RECORDING)
		return 0;
	r = catalog_recording_ulid(vault->db, item->recording, ulid);
	if (r == 0)
		ulid_format(ulid, ret_text);
	return r;
}

static int note_item(
		struct vault *vault, const struct erasure_item *item, uid_t uid, const char *reason)
{
	static const char *const actions[] = {[ERASE_ACCOUNT] = "shred account",
			[ERASE_GROUP] = "expire group",
			[ERASE_RECORDING] = "shred recording"};
	char subject[ULID_TEXT_CHARS + 1];
	int r = subject_of(vault, item, subject);

	if (r == 0)
		r = erasure_table_note(vault->db, item);
	return r < 0 ? r
		     : audit(vault, actions[item->kind], subject, uid, reason,
				       keytree_epoch(vault->tree));
}

/* Begins the transaction of step 1: what is ordered is noted. */
static int note(struct vault *vault, const struct order *order)
{
	int r = db_begin(vault->db);

	if (r == 0 && order->prepare)
		r = order->prepare(vault, order->context);
	for (size_t i = 0; i < order->n && r == 0; i++)
		r = note_item(vault, &order->items[i], order->uid, order->reason);
	return r;
}

/* Step 1, one transaction: notes the new items, and stages the tree without all that is noted. */
static int stage(struct vault *vault, const struct order *order, struct victims *victims,
		struct root_record **ret_next)
{
	int r = note(vault, order);

	if (r == 0)
		r = collect(vault, victims);
	if (r == 0)
		r = epoch_stage(vault, victims->paths, victims->count, ret_next);
	if (r == 0) {
		r = db_commit(vault->db);
		if (r < 0)
			*ret_next = secret_free(*ret_next);
	}
	if (r < 0)
		db_rollback(vault->db);
	return r;
}

/* The slots were not changed: the stage is void. The notes stay, and the erasure is tried again
 * (retention.h). */
static int discard_stage(struct vault *vault)
{
	int r = db_begin(vault->db);

	if (r == 0)
		r = epoch_discard(vault);
	return r < 0 ? r : db_commit(vault->db);
}

/* Only notes the items: a mirror is away, and until it is back there is nothing more to be done. */
static int note_only(struct vault *vault, const struct order *order)
{
	bool anything = order->n > 0 || order->prepare;
	int r = anything ? note(vault, order) : 0;

	if (r == 0 && anything)
		r = db_commit(vault->db);
	if (r < 0)
		db_rollback(vault->db);
	return r;
}

/* Step 5, one transaction; then the tree goes on with the new root. */
static int finish(
		struct vault *vault, const struct root_record *next, struct erasure_result *result)
{
	int r = db_begin(vault->db);

	result->epoch_before = next->epoch - 1;
	result->epoch_after = next->epoch;
	result->destroyed_us = clock_now_us(&vault->clock);
	if (r == 0)
		r = epoch_apply(vault, next);
	if (r == 0)
		r = erasure_table_finish(vault->db, result->destroyed_us, next->epoch,
				&result->recordings, &result->plain_bytes);
	if (r == 0)
		r = former_node_finish(vault->db);
	if (r == 0)
		r = audit(vault, result->only_moves ? "replaced" : "destroyed", "epoch", 0, NULL,
				next->epoch);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0) {
		db_rollback(vault->db);
		return r;
	}
	return epoch_enter(vault, next);
}

/* The proof: what was destroyed must not open with the new root, neither through what is staged nor
 * through what is old, which is still in the tables and is what an old copy would have. */
static int prove_erased(
		struct vault *vault, const struct root_record *next, const struct victims *victims)
{
	int r = keytree_try(vault->db, next->key, victims->paths, victims->count);

	if (r == -ENOENT)
		return 0;
	return r == 0 ? -RE_NOT_ERASED : r;
}

static void announce(struct vault *vault, const struct erasure_result *result)
{
	struct event_fields fields = {.epoch = (int64_t)result->epoch_after};

	if (result->only_moves) {
		event_log(LOG_NOTICE, EVENT_PLAIN, &fields,
				"keys replaced: epoch %" PRIu64 " overwrote epoch %" PRIu64
				" (assurance %s)",
				result->epoch_after, result->epoch_before, vault->root->assurance);
		return;
	}
	event_log(LOG_NOTICE, EVENT_DESTROYED, &fields,
			"keys of %" PRId64 " recording(s) destroyed: epoch %" PRIu64
			" overwrote epoch %" PRIu64 " (assurance %s)",
			result->recordings, result->epoch_after, result->epoch_before,
			vault->root->assurance);
}

static void alarm_not_proved(struct vault *vault, int proof)
{
	struct event_fields fields = {.epoch = (int64_t)keytree_epoch(vault->tree)};
	const char *what = proof == -RE_NOT_ERASED
					   ? "a destroyed key could still be opened"
					   : "whether keys were destroyed cannot be checked";

	vault_trouble(vault, "%s after epoch %" PRIu64 ": %s", what, keytree_epoch(vault->tree),
			error_text(proof));
	event_log(LOG_ALERT, EVENT_KEY_TROUBLE, &fields, "%s: do not rely on this erasure", what);
}

/* From the erasure point on: the proof, and step 5. */
static int complete(struct vault *vault, const struct root_record *next,
		const struct victims *victims, struct erasure_result *result)
{
	spool_places_forget(vault->places, victims->paths, victims->count);
	int proof = prove_erased(vault, next, victims);

	result->only_moves = !victims->destroys;
	int r = finish(vault, next, result);

	if (r < 0) {
		/* The old root is gone and the rows do not know it yet: a restart rolls forward. */
		vault->stuck = true;
		return r;
	}
	if (proof < 0)
		alarm_not_proved(vault, proof);
	announce(vault, result);
	return proof;
}

/* Step 5 must not fail for want of room: the old root is gone by then. Generous: the pages that an
 * item of its own account changes, in the journal. */
#define ROOM_PER_ITEM (24 << 10)
#define ROOM_ADDED    512 /* about an item: a burial, a removal */
#define ROOM_FIXED    (16 << 20)

/* But no more than all there is: each page once in the journal, and once where it belongs, for what
 * is added about an item. Many are noted while a place of the root is away. */
static uint64_t room_for_all(struct vault *vault, size_t items)
{
	static const char *const names[] = {"keeper.db", "keeper.db-wal"};
	uint64_t bytes = 0;
	struct stat st;

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		if (fstatat(vault->dir_fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return 2 * bytes + (uint64_t)items * ROOM_ADDED;
}

static int check_room(struct vault *vault, size_t items)
{
	uint64_t needed = (uint64_t)items * ROOM_PER_ITEM, all = room_for_all(vault, items);
	struct statvfs sv;

	if (fstatvfs(vault->dir_fd, &sv) < 0)
		return -errno;
	if (needed > all)
		needed = all;
	return (uint64_t)sv.f_bavail * sv.f_frsize < needed + ROOM_FIXED ? -ENOSPC : 0;
}

/* The new root is in place, but an old one may be left: the tree goes on without what is to be
 * erased, and the notes stay, so that only a later epoch makes it final. */
static int enter(struct vault *vault, const struct root_record *next)
{
	int r = db_begin(vault->db);

	if (r == 0)
		r = epoch_apply(vault, next);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0) {
		db_rollback(vault->db);
		vault->stuck = true;
		return r;
	}
	return epoch_enter(vault, next);
}

static int pending(struct vault *vault, int r, const char *why)
{
	vault_trouble(vault, "the erasure cannot be carried out yet: %s; it is pending", why);
	event_log(LOG_ERR, EVENT_SHRED_PENDING, NULL,
			"the erasure cannot be carried out yet: %s; it is pending", why);
	return r;
}

/* In the words of the medium, where it has some. */
static const char *why_not(const struct vault *vault, int r)
{
	const struct root_member *away = root_set_away(vault->root);

	return away ? away->why_away.text : root_set_reason(vault->root, 0, r);
}

/* Steps 2 to 5 on what is staged. */
static int carry_out(struct vault *vault, const struct root_record *next,
		const struct victims *victims, struct erasure_result *result)
{
	int r = check_room(vault, victims->count);

	if (r == 0)
		r = epoch_write(vault, next, &vault->stuck);
	if (r == 0)
		return complete(vault, next, victims, result);
	if (r == EPOCH_ENTERED) {
		r = enter(vault, next);
		return r < 0 ? r : pending(vault, -EIO, "an old root could not be overwritten");
	}
	pending(vault, r, why_not(vault, r));
	if (!vault->stuck && discard_stage(vault) < 0)
		vault->stuck = true;
	return r;
}

/* What lies beside the victims has to be sealed anew, so it must open. It is not given up here: a
 * copy of the database made since the last erasure may have it whole, and would be of no use after
 * this one. */
static void tell_of_damage(struct vault *vault)
{
	uint64_t damaged;
	enum keytree_damage damage = keytree_damaged(vault->tree, &damaged);
	char node[64];

	node_describe(damaged, node, sizeof(node));
	switch (damage) {
	case KEYTREE_WHOLE:
		vault_trouble(vault, "the erasure cannot be staged: %s", error_text(-RE_CORRUPT));
		break;
	case KEYTREE_NODE:
		vault_trouble(vault,
				"the key of %s in keeper.db is damaged: nothing beside it can be erased "
				"until keeper.db is restored from a copy made after the last erasure",
				node);
		break;
	case KEYTREE_CHILDREN:
		vault_trouble(vault,
				"keys right below %s in keeper.db are damaged: nothing there can be erased "
				"until keeper.db is restored from a copy made after the last erasure",
				node);
		break;
	}
}

static int run(struct vault *vault, const struct order *order, struct erasure_result *ret_result)
{
	_cleanup_secret_ struct root_record *next = NULL;
	struct erasure_result result = {0};
	struct victims victims = {0};

	if (vault->stuck)
		return -RE_BUSY;
	int ready = mirrors_ready(vault);
	if (ready < 0) {
		int r = note_only(vault, order);
		if (r == -RE_CORRUPT)
			tell_of_damage(vault);
		return r < 0 ? r : ready;
	}
	int r = stage(vault, order, &victims, &next);
	if (r == -RE_CORRUPT)
		tell_of_damage(vault);
	if (r == 0)
		r = carry_out(vault, next, &victims, &result);
	free(victims.paths);
	if (r == 0)
		*ret_result = result;
	return r;
}

int erasure_run(struct vault *vault, const struct erasure_item *items, size_t n, uid_t uid,
		const char *reason, struct erasure_result *ret_result)
{
	const struct order order = {.items = items, .n = n, .uid = uid, .reason = reason};

	return run(vault, &order, ret_result);
}

int erasure_run_with(struct vault *vault, int (*prepare)(struct vault *vault, void *context),
		void *context, struct erasure_result *ret_result)
{
	const struct order order = {.prepare = prepare, .context = context};

	return run(vault, &order, ret_result);
}

static int stop_at_item(void *context, const struct erasure_item *item)
{
	return 1;
}

static int stop_at_place(void *context, const struct former_node *place)
{
	return 1;
}

int erasure_retry(struct vault *vault)
{
	struct erasure_result result;
	int any = erasure_table_each(vault->db, stop_at_item, NULL);

	if (any == 0)
		any = former_node_each(vault->db, stop_at_place, NULL);
	return any <= 0 ? any : erasure_run(vault, NULL, 0, 0, NULL, &result);
}

static int roll_forward(struct vault *vault, const struct root_record *forward)
{
	struct erasure_result result = {0};
	struct victims victims = {0};

	if (root_set_away(vault->root))
		return enter(vault, forward);
	int r = collect(vault, &victims);
	if (r == 0)
		r = complete(vault, forward, &victims, &result);
	free(victims.paths);
	return r == -RE_NOT_ERASED ? 0 : r; /* the alarm is given; the others must be served */
}

int erasure_recover(struct vault *vault, const struct root_record *forward)
{
	int r = forward ? roll_forward(vault, forward) : 0;

	if (r == 0)
		r = erasure_retry(vault);
	return r == -RE_AWAY ? 0 : r; /* it waits; the others must be served */
}
