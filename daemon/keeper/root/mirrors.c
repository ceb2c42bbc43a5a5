#include "daemon/keeper/root/mirrors.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/epoch_slots.h"
#include "daemon/keeper/root/mirror_medium.h"
#include "daemon/keeper/root/mirrors_internal.h"
#include "daemon/keeper/root/root_main.h"
#include "storage/tables/mirror_table.h"
#include "storage/tables/row_mac.h"

int mirrors_image(struct root *root, uint8_t ret_image[static ROOT_IMAGE_BYTES])
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	int r = record ? -RE_AWAY : -RE_MLOCK;

	for (size_t i = 0; record && i < root->copies->n; i++) {
		if (!epoch_slot_there(root, i))
			continue;
		r = epoch_slot_get(root, i, root->slot, record);
		/* The slot alone is not trusted: its root must open the keys. */
		if (r > 0 && record->epoch == root_epoch(root) &&
				keytree_check_top(root->db, false, record->key,
						record->top_digest) == 0) {
			root_record_encode(record, ret_image);
			return 0;
		}
	}
	return r < 0 ? r : -EIO;
}

/* What one slot of a copy that is back may hold. */
enum content { CONTENT_NONE, CONTENT_PRESENT, CONTENT_PAST, CONTENT_FOREIGN };

static int slot_look_at(struct root *root, size_t i, unsigned slot, const uint8_t *image,
		enum content *ret_content)
{
	_cleanup_secret_ struct root_record *record = secret_new(sizeof(*record));
	_cleanup_secret_ uint8_t *found = secret_new(ROOT_IMAGE_BYTES);
	uint8_t void_top[ROOT_DIGEST_BYTES];

	if (!record || !found)
		return -RE_MLOCK;
	int r = root_set_get(root->copies, i, slot, found);
	if (r < 0)
		return r;
	*ret_content = CONTENT_NONE;
	if (root_record_decode(found, record) < 0)
		return 0;
	/* A root of a stage that was given up counts as past, although its epoch is not. */
	int voided = mirror_table_get_void(root->db, void_top);
	if (sodium_memcmp(found, image, ROOT_IMAGE_BYTES) == 0)
		*ret_content = CONTENT_PRESENT;
	else if (record->epoch < root_epoch(root))
		*ret_content = CONTENT_PAST;
	else if (voided > 0 && memcmp(record->top_digest, void_top, sizeof(void_top)) == 0)
		*ret_content = CONTENT_PAST;
	else
		*ret_content = CONTENT_FOREIGN;
	return voided < 0 ? voided : 0;
}

/* The present root in the active slot, and none in the other. */
static int copy_bring_in_line(struct root *root, size_t i, const uint8_t *image)
{
	enum content active, other;
	unsigned slot = root->slot;
	int r = slot_look_at(root, i, slot, image, &active);

	if (r == 0)
		r = slot_look_at(root, i, 1 - slot, image, &other);
	if (r < 0)
		return r;
	/* Nothing is overwritten: the database, not the copy, may be wrong. */
	if (active == CONTENT_FOREIGN || other == CONTENT_FOREIGN)
		return -RE_EPOCH;
	/* The present root first: the copy holds at least one good root at any time. */
	if (active != CONTENT_PRESENT)
		r = root_set_put(root->copies, i, slot, image);
	if (r == 0 && other != CONTENT_NONE)
		r = root_set_clear(root->copies, i, 1 - slot);
	if (r < 0)
		root_set_note_failure(root->copies, i, clock_now_us(&root->clock));
	return r;
}

/* A copy that refuses writes is not written to again and again. */
static int copy_check_wait(struct root *root, size_t i, struct reason *reason)
{
	int64_t wait_s = root_set_waits_s(root->copies, i, clock_now_us(&root->clock));

	return wait_s == 0 ? 0
			   : reason_set(reason, -RE_AWAY,
					     "it refused %u writes in a row; the next one is "
					     "tried in %" PRId64 " s",
					     root->copies->member[i].failures, wait_s);
}

/* A removed file can still be written while it is open, but that copy does not last: it counts as
 * missing. */
int mirrors_check_there(struct root *root, size_t i, struct reason *reason)
{
	const struct root_member *member = &root->copies->member[i];
	struct mirror_row row;

	if (i == MIRROR_OF_OWN) {
		int r = root_file_check(member->provider, root->dir_fd);
		if (r < 0) {
			reason_set(reason, r, "%s", error_text(r));
			mirrors_shorten_reason(r, reason);
		}
		return r;
	}
	int r = mirror_table_by_id(root->db, member->id, &row);
	return r < 0 ? r : mirror_medium_check(root, &row, member->provider, reason);
}

/* Why the copy is away: for `root show`. */
static void copy_keep_reason(struct root *root, size_t i, const struct reason *reason, int r)
{
	struct root_member *member = &root->copies->member[i];

	reason_set(&member->why_away, 0, "%s", reason_text(reason, r));
}

/* After this the copy is there and holds the present root; or it is away and says why. */
static int copy_look_after(struct root *root, size_t i, const uint8_t *image)
{
	struct root_set *set = root->copies;
	struct root_provider *provider = NULL;
	struct reason reason = {""};
	int r = 0;

	r = copy_check_wait(root, i, &reason);
	if (r < 0 && (root_set_present(set) > 1 || !set->member[i].provider))
		root_set_lose(set, i, reason.text);
	if (r < 0)
		return r;
	if (set->member[i].provider) {
		/* Checked by name: an open file whose name is gone does not survive the keeper. */
		r = mirrors_check_there(root, i, &reason);
		/* It may have missed the end of a commit while it was away. */
		if (r == 0)
			r = copy_bring_in_line(root, i, image);
		if (r == 0)
			return 0;
		root_set_lose(set, i, root_set_reason(set, i, r));
	}
	/* One more try: the medium may have been mounted again. */
	r = mirrors_reopen(root, i, &reason, &provider);
	if (r < 0) {
		copy_keep_reason(root, i, &reason, r);
		return r;
	}
	root_set_regain(set, i, provider);
	r = copy_bring_in_line(root, i, image);
	if (r == -RE_EPOCH)
		root_set_lose(set, i,
				"it holds a root that is not of this vault's past: the database "
				"may be an old one");
	else if (r < 0)
		root_set_lose(set, i, root_set_reason(set, i, r));
	return r;
}

/* One that refuses writes counts as away from then on, though it is tried again now and then: else
 * its time would never come to be given up. */
static bool member_is_sound(const struct root_member *member)
{
	return member->provider && member->failures < 2;
}

static int away_store(struct root *root, const struct root_member *member)
{
	struct mirror_row row;

	if (member->id == 0)
		return mirror_table_set_main_away(root->db, member->away_us);
	int r = mirror_table_by_id(root->db, member->id, &row);
	if (r < 0)
		return r == -RE_ALTERED ? 0 : r; /* it is away until the row is put right */
	row.away_us = member->away_us;
	snprintf(row.assurance, sizeof(row.assurance), "%s", member->assurance);
	return mirror_table_put(root->db, &row);
}

static void away_tell(struct root *root, const struct root_member *member)
{
	if (member_is_sound(member))
		notices_tell(root->notices, LOG_NOTICE, EVENT_PLAIN, NULL,
				"the root mirror %s (%s) is back", member->name, member->location);
	else
		notices_tell(root->notices, LOG_ERR, EVENT_KEY_TROUBLE, NULL,
				"the root mirror %s (%s) is away: %s; nothing is erased until it "
				"is back, or given up by an officer",
				member->name, member->location,
				*member->why_away.text ? member->why_away.text
						       : "it refuses writes");
}

/* Notes on record since when each copy is away. */
static int away_note(struct root *root)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	for (size_t i = 0; i < root->copies->n && r == 0; i++) {
		struct root_member *member = &root->copies->member[i];
		/* The time counts from the first notice, so that AwayLimit= cannot be stretched. */
		if (member_is_sound(member) == (member->away_us == 0))
			continue;
		member->away_us = member_is_sound(member) ? 0 : clock_now_us(&root->counted);
		r = away_store(root, member);
		away_tell(root, member);
	}
	/* Every copy was brought in line: no slot can hold a root of that stage any more. */
	if (r == 0 && !root_set_away(root->copies))
		r = mirror_table_set_void(root->db, NULL);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

static bool away_is_noted(const struct root_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (member_is_sound(&set->member[i]) != (set->member[i].away_us == 0))
			return false;
	}
	return true;
}

void mirrors_explain_away(const struct root *root, struct reason *reason)
{
	const struct root_member *away = root_set_away(root->copies);

	reason_clear(reason);
	if (away)
		reason_set(reason, 0, "the root mirror %s (%s): %s", away->name, away->location,
				away->why_away.text);
}

/* No copy could be reached. Opens the first that is back; the caller checks what it holds. */
static void copies_reopen_any(struct root *root)
{
	for (size_t i = 0; i < root->copies->n && root_set_present(root->copies) == 0; i++) {
		struct root_provider *provider = NULL;
		struct reason reason = {""};
		int r = mirrors_reopen(root, i, &reason, &provider);
		if (r == 0)
			root_set_regain(root->copies, i, provider);
		else
			copy_keep_reason(root, i, &reason, r);
	}
}

void mirrors_check_paths(struct root *root)
{
	for (size_t i = 0; i < root->copies->n; i++) {
		struct root_member *member = &root->copies->member[i];
		struct reason why = {""};
		if (!member->provider || mirrors_check_there(root, i, &why) == 0)
			continue;
		if (root_set_present(root->copies) > 1)
			root_set_lose(root->copies, i, why.text);
		else if (i == MIRROR_OF_OWN)
			mirrors_alone_tell(root, &why);
	}
}

/* Somebody may have taken a mirror out of the database, that it survive an erasure. */
static int mirrors_check_rows(struct root *root, struct reason *reason)
{
	if (row_mac_is_complete(root->db, "mirror"))
		return 0;
	return reason_set(reason, -RE_AWAY,
			"erasures wait: keeper.db was altered outside the keeper, and does not say "
			"any more which mirrors of the root there are. Restore it; see AN ALTERED "
			"CATALOG in recseal-keeper(8)");
}

int mirrors_watch(struct root *root, struct reason *reason)
{
	int r = mirrors_check_rows(root, reason);

	if (r < 0)
		return r;
	return root->copies->n == 1 && !root_set_away(root->copies)
			       ? mirrors_alone_ready(root, true, reason)
			       : mirrors_ready(root, reason);
}

int mirrors_ready(struct root *root, struct reason *reason)
{
	_cleanup_secret_ uint8_t *image = NULL;
	struct reason away = {""};
	int r = mirrors_check_rows(root, reason);

	if (r < 0)
		return r;
	/* A TPM is asked first: a write that it does not answer leaves the root in doubt. */
	if (root->copies->n == 1 && !root_set_away(root->copies))
		return mirrors_alone_ready(
				root, root_assurance_rank(root_main_assurance(root)) > 0, reason);
	/* Someone must hold the present root, else there is no image to compare with. */
	if (root_set_present(root->copies) == 0)
		copies_reopen_any(root);
	image = secret_new(ROOT_IMAGE_BYTES);
	r = image ? mirrors_image(root, image) : -RE_MLOCK;
	for (size_t i = 0; i < root->copies->n && r == 0; i++) {
		if (root->copies->member[i].left_out)
			continue;
		/* -RE_GONE: an unsettled mirror was cleared up and is no copy any more. */
		if (copy_look_after(root, i, image) == -RE_GONE)
			root_provider_free(root_set_take(root->copies, i--));
	}
	if (r == 0 && !away_is_noted(root->copies))
		r = away_note(root);
	if (r == 0 && !root_set_away(root->copies))
		return 0;
	mirrors_explain_away(root, &away);
	return reason_set(reason, -RE_AWAY, "erasures wait for %s", away.text);
}
