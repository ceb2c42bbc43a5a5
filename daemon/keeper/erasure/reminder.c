#include "daemon/keeper/erasure/reminder.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/erasure/erasure_notes.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"

/* A reminder in the clear: magic with its version; le32 what it is about, le32 kind, le64 id or
 * uid, le64 time, 16 bytes of subject; then texts that end with a NUL: an order's reason, a
 * mirror's name and location. */
enum {
	AT_WHAT = 8,
	AT_KIND = 12,
	AT_NUMBER = 16,
	AT_TIME = 24,
	AT_SUBJECT = 32,
	AT_TEXT = AT_SUBJECT + ULID_BYTES,
};
#define TEXT_MAX  4096
#define PLAIN_MAX (AT_TEXT + TEXT_MAX)
_Static_assert(PLAIN_MAX + SEAL_OVERHEAD_BYTES <= OBJECT_STORE_REMINDER_MAX, "fits its file");
_Static_assert(ROOT_NAME_BYTES + ROOT_LOCATION_BYTES <= TEXT_MAX, "a mirror fits");
_Static_assert(ULID_BYTES == CATALOG_HANDLE_BYTES, "a subject is either");

static const uint8_t magic[8] = {'R', 'S', 'R', 'E', 'M', 'I', 0, 1};

enum what { WHAT_ORDER = 1, WHAT_MIRROR };

struct reminder {
	enum what what;
	uint32_t kind;   /* enum erasure_kind, enum mirror_kind */
	uint64_t number; /* uid; id */
	int64_t time_us;
	uint8_t subject[ULID_BYTES]; /* a recording's ULID or an account's handle */
	char text[TEXT_MAX];
	size_t text_len;
};

/* What a reminder is about, for its name: one of each. */
static void reminder_tag(
		const struct reminder *reminder, uint8_t ret_tag[static OBJECT_STORE_TAG_BYTES])
{
	uint8_t about[16 + ULID_BYTES];

	put_le32(about, (uint32_t)reminder->what);
	put_le32(about + 4, reminder->kind);
	put_le64(about + 8, reminder->what == WHAT_MIRROR ? reminder->number : 0);
	memcpy(about + 16, reminder->subject, ULID_BYTES);
	crypto_generichash(ret_tag, OBJECT_STORE_TAG_BYTES, about, sizeof(about), NULL, 0);
}

static int reminder_open_key(struct root *root, uint8_t ret_key[static NODE_KEY_BYTES])
{
	struct key_path path = key_path_lookup();

	return keytree_open(root->tree, &path, ret_key);
}

static int reminder_store(struct root *root, const struct reminder *reminder)
{
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	uint8_t plain[PLAIN_MAX], sealed[PLAIN_MAX + SEAL_OVERHEAD_BYTES];
	uint8_t tag[OBJECT_STORE_TAG_BYTES];
	size_t len = AT_TEXT + reminder->text_len;
	int r = key ? reminder_open_key(root, key) : -RE_MLOCK;

	if (r < 0)
		return r;
	memcpy(plain, magic, sizeof(magic));
	put_le32(plain + AT_WHAT, (uint32_t)reminder->what);
	put_le32(plain + AT_KIND, reminder->kind);
	put_le64(plain + AT_NUMBER, reminder->number);
	put_le64(plain + AT_TIME, (uint64_t)reminder->time_us);
	memcpy(plain + AT_SUBJECT, reminder->subject, ULID_BYTES);
	memcpy(plain + AT_TEXT, reminder->text, reminder->text_len);
	key_seal_record(key, RECORD_REMINDER, root_epoch(root), plain, len, sealed);
	reminder_tag(reminder, tag);
	return object_store_reminder_put(
			root->store, root_epoch(root), tag, sealed, len + SEAL_OVERHEAD_BYTES);
}

static int reminder_parse(const uint8_t *plain, size_t len, struct reminder *ret_reminder)
{
	if (len <= AT_TEXT || len > PLAIN_MAX || memcmp(plain, magic, sizeof(magic)) != 0 ||
			plain[len - 1] != '\0')
		return -RE_CORRUPT;
	*ret_reminder = (struct reminder){.what = (enum what)get_le32(plain + AT_WHAT),
			.kind = get_le32(plain + AT_KIND),
			.number = get_le64(plain + AT_NUMBER),
			.time_us = (int64_t)get_le64(plain + AT_TIME),
			.text_len = len - AT_TEXT};
	memcpy(ret_reminder->subject, plain + AT_SUBJECT, ULID_BYTES);
	memcpy(ret_reminder->text, plain + AT_TEXT, ret_reminder->text_len);
	return 0;
}

/* Keeping. */

static int order_subject(struct db *db, const struct erasure_item *item,
		uint8_t ret_subject[static ULID_BYTES])
{
	struct account_row row;

	if (item->kind == ERASE_RECORDING)
		return catalog_recording_ulid(db, item->recording, ret_subject);
	int r = catalog_account_by_id(db, item->account, &row);
	if (r == 0) {
		memcpy(ret_subject, row.handle, sizeof(row.handle));
		catalog_account_clear(&row);
	}
	return r;
}

/* What falls due does so again; and a group is nothing that somebody orders. */
static int reminder_keep_order(struct root *root, const struct erasure_item *item)
{
	struct reminder reminder = {
			.what = WHAT_ORDER, .kind = (uint32_t)item->kind, .number = item->uid};

	if (item->cause != CAUSE_SHRED || item->kind == ERASE_GROUP)
		return 0;
	int r = order_subject(root->db, item, reminder.subject);
	if (r < 0)
		return r;
	snprintf(reminder.text, sizeof(reminder.text), "%s", item->reason ? item->reason : "");
	reminder.text_len = strlen(reminder.text) + 1;
	return reminder_store(root, &reminder);
}

int reminder_keep_orders(struct root *root, const struct erasure_item *items, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = erasure_table_is_noted(root->db, &items[i]);
		if (r > 0)
			r = reminder_keep_order(root, &items[i]);
	}
	if (r < 0)
		root->reminders_owed = true;
	return r;
}

static int keep_noted(void *context, const struct erasure_item *item)
{
	return reminder_keep_order(context, item);
}

int reminder_keep_all(struct root *root)
{
	int r = erasure_table_each(root->db, keep_noted, root);

	root->reminders_owed = r < 0;
	return r;
}

static void reminder_of_mirror(const struct mirror_row *row, struct reminder *ret_reminder)
{
	size_t name = strlen(row->name) + 1, location = strlen(row->location) + 1;

	*ret_reminder = (struct reminder){.what = WHAT_MIRROR,
			.kind = (uint32_t)row->kind,
			.number = (uint64_t)row->id,
			.time_us = row->added_us,
			.text_len = name + location};
	memcpy(ret_reminder->text, row->name, name);
	memcpy(ret_reminder->text + name, row->location, location);
}

int reminder_keep_mirror(struct root *root, const struct mirror_row *row)
{
	struct reminder reminder;

	reminder_of_mirror(row, &reminder);
	return reminder_store(root, &reminder);
}

/* Restoring. */

/* The item as this database has it: 1; 0 when it is not there, destroyed, or noted. */
static int order_find_recording(
		struct db *db, const uint8_t ulid[static ULID_BYTES], struct erasure_item *item)
{
	struct recording_row row;
	int r = catalog_recording_by_ulid(db, ulid, &row);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	item->account = row.account;
	item->group = row.group;
	item->recording = row.id;
	r = recording_is_live(row.state);
	catalog_recording_clear(&row);
	return r;
}

static int order_find_account(
		struct db *db, const uint8_t handle[static ULID_BYTES], struct erasure_item *item)
{
	struct account_row row;
	int r = catalog_account_by_handle(db, handle, &row);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	item->account = row.id;
	r = row.state == ACCOUNT_DELETED ? 1 : erasure_table_account_is_noted(db, row.id);
	catalog_account_clear(&row);
	return r < 0 ? r : r == 0;
}

static int order_note_again(
		struct root *root, const struct erasure_item *item, struct reason *reason)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	if (r == 0)
		r = erasure_notes_add(&root->audit, item, root_epoch(root), reason);
	if (r == 0)
		r = db_transaction_commit(&transaction);
	return r;
}

static int restore_order(struct root *root, const struct reminder *reminder)
{
	struct erasure_item item = {.kind = (enum erasure_kind)reminder->kind,
			.cause = CAUSE_SHRED,
			.uid = (uid_t)reminder->number,
			.reason = *reminder->text ? reminder->text : NULL};
	bool one = item.kind == ERASE_RECORDING;
	struct reason reason = {""};
	char subject[ULID_TEXT_CHARS + 1];
	int r = one ? order_find_recording(root->db, reminder->subject, &item)
		    : order_find_account(root->db, reminder->subject, &item);

	if (r <= 0)
		return r;
	if (one)
		ulid_format(reminder->subject, subject);
	else
		account_handle_format(reminder->subject, subject);
	r = order_note_again(root, &item, &reason);
	notices_tell(root->notices, LOG_WARNING, EVENT_SHRED_PENDING, NULL,
			"keeper.db was put back from a copy made before uid %u ordered to shred "
			"the %s %s: %s",
			(unsigned)item.uid, one ? "recording" : "account", subject,
			r == 0 ? "the order is noted again" : reason_text(&reason, r));
	return r == -RE_REFUSED ? 0 : r;
}

/* Whether a mirror in use is at the very location: one that was dropped there, and made again, is
 * one copy. 1, 0. */
static int mirror_is_there(struct root *root, const struct mirror_row *row)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0;
	bool there = false;
	int r = mirror_table_list(root->db, &rows, &n);

	for (size_t i = 0; r == 0 && i < n && row->kind == MIRROR_FILE; i++)
		there |= rows[i].kind == MIRROR_FILE && rows[i].state == MIRROR_IN_USE &&
			 strcmp(rows[i].location, row->location) == 0;
	return r < 0 ? r : there;
}

/* Where the copy is on record already, only the id is used up: the reminder is not asked again. */
static int mirror_put_back(struct root *root, struct mirror_row *row, bool there)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	if (r == 0)
		r = mirror_table_add(root->db, row);
	if (r == 0 && there)
		r = mirror_table_remove(root->db, row->id);
	if (r == 0)
		r = mirror_table_set_changed(root->db, root_epoch(root));
	if (r == 0)
		r = db_transaction_commit(&transaction);
	return r;
}

static int restore_mirror(struct root *root, const struct reminder *reminder)
{
	struct mirror_row row = {.id = (int64_t)reminder->number,
			.kind = (enum mirror_kind)reminder->kind,
			.state = MIRROR_IN_USE,
			.assurance = "file",
			.added_us = reminder->time_us};
	struct root_member member = {.id = row.id};
	size_t name = strlen(reminder->text) + 1;
	int known = mirror_table_knows(root->db, row.id);

	if (known != 0)
		return known < 0 ? known : 0;
	if (name >= reminder->text_len || name > sizeof(row.name) ||
			reminder->text_len - name > sizeof(row.location))
		return -RE_CORRUPT;
	memcpy(row.name, reminder->text, name);
	memcpy(row.location, reminder->text + name, reminder->text_len - name);
	int there = mirror_is_there(root, &row);
	if (there < 0)
		return there;
	int r = mirror_put_back(root, &row, there);
	if (r < 0 || there)
		return r;
	snprintf(member.name, sizeof(member.name), "%s", row.name);
	snprintf(member.location, sizeof(member.location), "%s", row.location);
	member.assurance = root_assurance_label(row.assurance);
	reason_set(&member.why_away, 0, "it was not looked at yet");
	notices_tell(root->notices, LOG_WARNING, EVENT_KEY_TROUBLE, NULL,
			"keeper.db was put back from a copy made before the root mirror %s (%s) "
			"was added: it is on record again",
			row.name, row.location);
	return root_set_add(root->copies, &member);
}

static int restore_one(void *context, const uint8_t *data, size_t len)
{
	struct root *root = context;
	_cleanup_secret_ uint8_t *key = secret_new(NODE_KEY_BYTES);
	uint8_t plain[PLAIN_MAX];
	struct reminder reminder;
	int r = key ? reminder_open_key(root, key) : -RE_MLOCK;

	if (r < 0)
		return r;
	if (len <= SEAL_OVERHEAD_BYTES || len - SEAL_OVERHEAD_BYTES > sizeof(plain))
		r = -RE_CORRUPT;
	if (r == 0)
		r = key_seal_open_record(key, RECORD_REMINDER, root_epoch(root), data, len, plain);
	if (r == 0)
		r = reminder_parse(plain, len - SEAL_OVERHEAD_BYTES, &reminder);
	if (r == 0 && reminder.what == WHAT_ORDER)
		r = restore_order(root, &reminder);
	else if (r == 0)
		r = restore_mirror(root, &reminder);
	if (r != -RE_CORRUPT)
		return r;
	notices_tell(root->notices, LOG_WARNING, EVENT_KEY_TROUBLE, NULL,
			"a reminder of epoch %" PRIu64
			" in %s is damaged: an order to erase that was pending, or a mirror, may "
			"be forgotten if keeper.db is not the newest one",
			root_epoch(root), root->settings.objects_dir);
	return 0;
}

int reminder_restore(struct root *root)
{
	return object_store_reminder_each(root->store, root_epoch(root), restore_one, root);
}
