#include "daemon/keeper/erasure/erasure_notes.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/keeper/erasure/gate.h"
#include "daemon/keeper/vault/accounts.h"

static struct key_path victim_path(const struct erasure_item *item)
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

static int victims_add(struct victims *victims, struct key_path path)
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

struct collecting {
	struct db *db;
	struct victims *victims;
	struct reason *reason;
};

static int collect_item(void *context, const struct erasure_item *item)
{
	struct collecting *collecting = context;

	collecting->victims->destroys = true;
	return victims_add(collecting->victims, victim_path(item));
}

static int collect_former(void *context, const struct former_node *former)
{
	struct collecting *collecting = context;
	/* A row that was slipped into the table would erase the only key of a recording. */
	int r = gate_check_former(collecting->db, former, collecting->reason);

	return r < 0 ? r
		     : victims_add(collecting->victims,
				       key_path_recording(former->account, former->group,
						       former->recording));
}

int erasure_notes_collect(struct db *db, struct victims *victims, struct reason *reason)
{
	struct collecting collecting = {db, victims, reason};
	int r = erasure_table_each(db, collect_item, &collecting);

	return r < 0 ? r : former_node_each(db, collect_former, &collecting);
}

/* There is no such group: what is above it gets fresh keys, and nothing is erased. */
#define NO_GROUP 0

static int collect_account(void *context, int64_t account)
{
	return victims_add(context, key_path_group(account, NO_GROUP));
}

int erasure_notes_collect_accounts(struct db *db, struct victims *victims)
{
	victims->rekeys_all = true;
	return catalog_account_each_id(db, collect_account, victims);
}

void erasure_notes_free(struct victims *victims)
{
	free(victims->paths);
	*victims = (struct victims){0};
}

static int count_item(void *context, const struct erasure_item *item)
{
	++*(size_t *)context;
	return 0;
}

static int count_former(void *context, const struct former_node *former)
{
	++*(size_t *)context;
	return 0;
}

int erasure_notes_count(struct db *db, size_t *ret_count)
{
	size_t count = 0;
	int r = erasure_table_each(db, count_item, &count);

	if (r == 0)
		r = former_node_each(db, count_former, &count);
	if (r == 0)
		*ret_count = count;
	return r;
}

static int stop_at_item(void *context, const struct erasure_item *item)
{
	return 1;
}

static int stop_at_former(void *context, const struct former_node *former)
{
	return 1;
}

int erasure_notes_any(struct db *db)
{
	int any = erasure_table_each(db, stop_at_item, NULL);

	return any == 0 ? former_node_each(db, stop_at_former, NULL) : any;
}

/* The recording's id where the item is one recording, else the account's handle. */
static int item_subject(struct db *db, const struct erasure_item *item,
		char ret_text[static ULID_TEXT_CHARS + 1])
{
	uint8_t ulid[ULID_BYTES];
	struct account_row row;
	int r = catalog_account_by_id(db, item->account, &row);

	if (r < 0)
		return r;
	account_handle_format(row.handle, ret_text);
	catalog_account_clear(&row);
	if (item->kind != ERASE_RECORDING)
		return 0;
	r = catalog_recording_ulid(db, item->recording, ulid);
	if (r == 0)
		ulid_format(ulid, ret_text);
	return r;
}

int erasure_notes_add(const struct audit_log *audit, const struct erasure_item *item,
		uint64_t epoch, struct reason *reason)
{
	static const char *const actions[] = {[ERASE_ACCOUNT] = "shred account",
			[ERASE_GROUP] = "expire group",
			[ERASE_RECORDING] = "shred recording"};
	const struct audit_actor actor = {item->uid, item->reason};
	char subject[ULID_TEXT_CHARS + 1];
	/* In the transaction that notes it, so that no hold can come in between. */
	int r = gate_check_item(audit->db, item, reason);

	if (r == 0)
		r = item_subject(audit->db, item, subject);
	if (r == 0)
		r = erasure_table_note(audit->db, item);
	return r < 0 ? r : audit_log_append(audit, &actor, actions[item->kind], subject, epoch);
}

struct done_list {
	const struct audit_log *audit;
	uint64_t epoch;
	struct erasure_done *done;
	size_t count, room;
};

static int done_append(struct done_list *list, const struct erasure_done *done)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 8;
		struct erasure_done *more = reallocarray(list->done, room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->done = more;
		list->room = room;
	}
	list->done[list->count++] = *done;
	return 0;
}

static int done_record(void *context, const struct erasure_item *item)
{
	struct done_list *list = context;
	const struct audit_actor actor = {item->uid, item->reason};
	struct erasure_done done = {.kind = item->kind, .uid = item->uid};

	/* Expiries have no orderer; the epoch's own record stands for them. */
	if (item->cause != CAUSE_SHRED)
		return 0;
	int r = item_subject(list->audit->db, item, done.subject);
	if (r == 0)
		r = audit_log_append(list->audit, &actor, "shredded", done.subject, list->epoch);
	return r < 0 ? r : done_append(list, &done);
}

int erasure_notes_record_done(const struct audit_log *audit, uint64_t epoch,
		struct erasure_done **ret_done, size_t *ret_count)
{
	struct done_list list = {.audit = audit, .epoch = epoch};
	int r = erasure_table_each(audit->db, done_record, &list);

	if (r < 0) {
		free(list.done);
		return r;
	}
	*ret_done = list.done;
	*ret_count = list.count;
	return 0;
}
