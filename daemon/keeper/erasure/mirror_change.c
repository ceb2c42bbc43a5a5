/* Invariants: a medium is on record before it holds a root, and until it was overwritten or an
 * officer gave it up; each change of the record is one transaction with its audit record; and the
 * set keeps one copy that can be reached at all times. A change that is cut short is cleared up at
 * the next start (mirrors_open()). */
#include "daemon/keeper/erasure/mirror_change_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "daemon/common/config/config_name.h"
#include "daemon/keeper/erasure/reminder.h"
#include "daemon/keeper/root/mirror_medium.h"

/* The next epoch makes a copy that was taken out of the set one of the past. Where no epoch can be
 * made now, it stays owed. */
static void change_make_epoch(struct eraser *eraser)
{
	if (!root_is_stuck(eraser->root))
		(void)erasure_retry(eraser, NULL);
}

static size_t copies_index_of(const struct root *root, int64_t id)
{
	size_t i = 0;

	while (i < root->copies->n && root->copies->member[i].id != id)
		i++;
	return i;
}

static int copies_append(struct root *root, const struct mirror_row *row,
		struct root_provider *provider, const struct reason *why_away)
{
	struct root_member member = {.id = row->id,
			.assurance = root_assurance_label(row->assurance),
			.away_us = row->away_us,
			.provider = provider};

	snprintf(member.name, sizeof(member.name), "%s", row->name);
	snprintf(member.location, sizeof(member.location), "%s", row->location);
	member.why_away = *why_away;
	return root_set_add(root->copies, &member);
}

/* Adding. */

static int order_check_new(
		struct root *root, const struct mirror_order *order, struct reason *reason)
{
	const char *required = root->settings.require_assurance;
	char path[ROOT_LOCATION_BYTES + 16];
	struct stat st;

	if (!config_name_is_valid(order->name) || strcmp(order->name, MIRROR_MAIN) == 0)
		return reason_set(reason, -RE_REFUSED,
				"%s cannot be the name of a mirror: use 1 to 64 of a-z, 0-9, _ and "
				"-, and not " MIRROR_MAIN,
				order->name);
	if (root->copies->n == ROOT_MEMBERS_MAX)
		return reason_set(reason, -RE_REFUSED,
				"there are %d copies of the root already, the most there can be; "
				"drop one first",
				ROOT_MEMBERS_MAX);
	if (order->kind == MIRROR_TPM2)
		return 0;
	if (required && root_assurance_rank("file") < root_assurance_rank(required))
		return reason_set(reason, -RE_REFUSED,
				"a mirror in a file would weaken the assurance below "
				"RequireAssurance=%s: use --tpm2",
				required);
	if (*order->location != '/')
		return reason_set(reason, -RE_REFUSED,
				"the directory %.120s must be an absolute path, one that begins "
				"with /",
				order->location);
	snprintf(path, sizeof(path), "%s/root.slots", order->location);
	/* Checked before the mirror is on record: a root.slots that is there already is not ours,
	 * and a mirror on record may be overwritten. */
	return lstat(path, &st) == 0
			       ? reason_set(reason, -EEXIST,
						 "there is a root.slots in %s already: give "
						 "another directory, or remove the file if no "
						 "vault uses it",
						 order->location)
			       : 0;
}

/* Writes the present root into a fresh medium. */
int mirror_change_put_root(struct root *root, struct root_provider *provider)
{
	_cleanup_secret_ uint8_t *image = secret_new(ROOT_IMAGE_BYTES);
	struct root_member member = {.assurance = provider->assurance, .provider = provider};
	struct root_set *alone = root_set_new();
	int r = image && alone ? mirrors_image(root, image) : -ENOMEM;

	if (r == 0)
		r = root_set_add(alone, &member);
	/* Through a set of its own, so that it is read back as in an epoch. */
	if (r == 0)
		r = root_set_put(alone, 0, root->slot, image);
	/* A medium may hold anything before; the inactive slot must hold no root. */
	if (r == 0)
		r = root_set_clear(alone, 0, 1 - root->slot);
	if (alone && alone->n > 0)
		(void)root_set_take(alone, 0); /* it stays the caller's */
	root_set_free(alone);
	return r;
}

static bool medium_is_too_weak(const struct root *root, const struct root_provider *provider)
{
	const char *required = root->settings.require_assurance;

	return required && root_assurance_rank(provider->assurance) < root_assurance_rank(required);
}

struct admission {
	struct root *root;
	struct mirror_row *row;
};

static int admission_note(void *context)
{
	struct admission *admission = context;

	admission->row->state = MIRROR_UNSETTLED;
	return mirror_table_put(admission->root->db, admission->row);
}

/* No epoch can be made now: a reminder in the object folder takes its place. */
static int change_admit_with_reminder(struct root *root, struct mirror_row *row)
{
	struct admission admission = {root, row};
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin_for(&transaction, root->db, DB_ROOM_ERASING);

	if (r == 0)
		r = admission_note(&admission);
	if (r == 0)
		r = mirror_table_set_changed(root->db, root_epoch(root));
	if (r == 0)
		r = db_transaction_commit(&transaction);
	return r < 0 ? r : reminder_keep_mirror(root, row);
}

/* From now on no database opens that does not know of the mirror; so it may hold the root. */
static int change_admit(struct eraser *eraser, struct mirror_row *row)
{
	struct admission admission = {eraser->root, row};
	int r = erasure_change_epoch(eraser, admission_note, &admission, NULL);

	if (r == 0 || root_is_stuck(eraser->root))
		return r;
	return change_admit_with_reminder(eraser->root, row);
}

/* Makes the medium, writes the root and takes it into use. On failure the medium is removed again;
 * if even that fails, it stays on record as a copy that is away. */
static int change_settle_new(struct eraser *eraser, struct mirror_row *row,
		const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	struct reason why_left = {""};
	struct root_provider *provider = NULL;
	/* It is on record as empty already: a crash from here on is cleared up at the next
	 * start. */
	int r = mirror_medium_create(root, row, reason, &provider);

	if (r < 0) {
		(void)mirror_change_record(
				root, row, MIRROR_CHANGE_REMOVE, order, "root mirror not added");
		return r;
	}
	if (medium_is_too_weak(root, provider))
		r = reason_set(reason, -RE_REFUSED,
				"the assurance of this mirror is %s, which is below "
				"RequireAssurance=%s",
				provider->assurance, root->settings.require_assurance);
	/* Before the root is written: from now on the medium has to be overwritten. */
	if (r == 0)
		r = change_admit(eraser, row);
	if (r == 0)
		r = mirror_change_put_root(root, provider);
	if (r == 0) {
		/* Only a complete copy counts as in use: the vault may open with it. */
		row->state = MIRROR_IN_USE;
		snprintf(row->assurance, sizeof(row->assurance), "%s", provider->assurance);
		r = mirror_change_record(root, row, MIRROR_CHANGE_PUT, order, "root mirror in use");
	}
	if (r == 0)
		r = copies_append(root, row, provider, &(struct reason){""});
	if (r == 0)
		return 0;
	/* Something failed: the root may be on the medium already, so it is overwritten. */
	root_provider_free(provider);
	if (mirror_medium_retire(root, row, &why_left) == 0)
		(void)mirror_change_record(
				root, row, MIRROR_CHANGE_REMOVE, order, "root mirror not added");
	else if (row->state != MIRROR_EMPTY && copies_append(root, row, NULL, &why_left) < 0)
		/* A copy that nobody knows of: only a restart reads the record again. */
		root->stuck = true;
	return r;
}

int mirror_change_add(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	struct mirror_row row = {.kind = order->kind,
			.state = MIRROR_EMPTY,
			.assurance = "file",
			.added_us = clock_now_us(&root->clock)};

	reason_clear(reason);
	int r = order_check_new(root, order, reason);
	for (size_t i = 0; i < root->copies->n && r == 0; i++) {
		if (strcmp(root->copies->member[i].name, order->name) == 0)
			r = reason_set(reason, -EEXIST, "there is a root mirror %s already",
					order->name);
	}
	if (r < 0)
		return r;
	snprintf(row.name, sizeof(row.name), "%s", order->name);
	snprintf(row.location, sizeof(row.location), "%s", order->location);
	/* On record first; a medium that nobody knows of must never hold a root. */
	r = mirror_change_record(root, &row, MIRROR_CHANGE_ADD, order, "add root mirror");
	if (r == 0)
		r = change_settle_new(eraser, &row, order, reason);
	return r;
}

/* Dropping. */

/* The mirror can be reached: it is noted as unsettled, overwritten, removed, and forgotten. */
static int change_overwrite(struct eraser *eraser, struct mirror_row *row,
		const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	size_t i = copies_index_of(root, row->id);

	/* Noted first: if the keeper dies now, the next start goes on overwriting. */
	row->state = MIRROR_UNSETTLED;
	int r = mirror_change_record(root, row, MIRROR_CHANGE_PUT, order, "drop root mirror");
	if (r < 0)
		return r;
	/* Out of the set, so that no epoch writes a root into it meanwhile. */
	if (i < root->copies->n)
		root_provider_free(root_set_take(root->copies, i));
	r = mirror_medium_retire(root, row, reason);
	if (r == 0)
		r = mirror_change_record_owed(root, row, MIRROR_CHANGE_REMOVE, order,
				"root mirror overwritten", true);
	if (r == 0) {
		change_make_epoch(eraser);
		return 0;
	}
	if (row->state != MIRROR_EMPTY && copies_append(root, row, NULL, reason) < 0)
		root->stuck = true;
	return r;
}

int mirror_change_check_limit(
		const struct root *root, const struct root_member *member, struct reason *reason)
{
	int64_t limit_us = root->settings.away_limit_us;
	int64_t left_us = member->away_us + limit_us - clock_now_us(&root->counted);

	if (member->away_us != 0 && left_us <= 0)
		return 0;
	return reason_set(reason, -RE_REFUSED,
			"%s is away (%.120s) and holds the root. Bring it back; it can be given up "
			"in %" PRId64 " hours (AwayLimit=)",
			member->name, member->why_away.text, left_us / (3600 * US_PER_S) + 1);
}

static int change_give_up(struct eraser *eraser, size_t i, struct mirror_row *row,
		const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	int r = mirror_change_check_limit(root, &root->copies->member[i], reason);

	if (r < 0)
		return r;
	row->state = MIRROR_GIVEN_UP;
	row->given_up_us = clock_now_us(&root->clock);
	/* The epoch says which erasures this copy can undo. */
	row->given_up_epoch = root_epoch(root);
	r = mirror_change_record_owed(
			root, row, MIRROR_CHANGE_PUT, order, "give up root mirror", true);
	if (r < 0)
		return r;
	/* After the record: erasures stop waiting for it only when its loss is durable. */
	(void)root_set_take(root->copies, i);
	change_make_epoch(eraser);
	return 0;
}

static int change_drop(struct eraser *eraser, size_t i, const struct mirror_order *order,
		struct reason *reason)
{
	struct root *root = eraser->root;
	const struct root_member *member = &root->copies->member[i];
	struct mirror_row row;
	int r = mirror_table_by_id(root->db, member->id, &row);

	if (r < 0)
		return r;
	/* Without another copy at hand the vault could not be opened again. */
	if (root_set_present(root->copies) < (member->provider ? 2 : 1))
		return reason_set(reason, -RE_REFUSED,
				"%s is the only copy of the root that can be reached: bring "
				"another copy back first",
				member->name);
	if (!member->provider)
		return change_give_up(eraser, i, &row, order, reason);
	return change_overwrite(eraser, &row, order, reason);
}

/* The oldest copy of that name: while a mirror is being replaced, the new one has the same name. */
static size_t copies_find(const struct root *root, const char *name)
{
	size_t i = 1;

	while (i < root->copies->n && strcmp(root->copies->member[i].name, name) != 0)
		i++;
	return i;
}

/* A mirror in use may lie where another was given up: it must not be taken for that one. */
static int given_up_check_not_in_use(
		struct root *root, const struct mirror_row *row, struct reason *reason)
{
	for (size_t i = 0; i < root->copies->n && row->kind == MIRROR_FILE; i++) {
		const struct root_member *member = &root->copies->member[i];
		/* The same inode means the mirror in use, not the one that was given up. */
		if (member->provider && root_assurance_rank(member->assurance) == 0 &&
				mirror_medium_check(root, row, member->provider, NULL) == 0)
			return reason_set(reason, -RE_REFUSED,
					"the root mirror %s, which is in use, is at %.120s now: "
					"the one that was given up there is not back",
					member->name, row->location);
	}
	return 0;
}

/* Finds a mirror of this name that was given up, preferably one that is back. 0, with the reason
 * when it is not back; -ENOENT. */
static int given_up_find(struct root *root, const char *name, struct mirror_row *ret_row,
		struct reason *reason, bool *ret_back)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0;
	int r = mirror_table_list(root->db, &rows, &n);
	bool found = false;

	/* Both must hold: it is found, and it holds a root of its time. */
	*ret_back = false;
	for (size_t i = 0; i < n && r == 0 && !*ret_back; i++) {
		if (rows[i].state != MIRROR_GIVEN_UP || strcmp(rows[i].name, name) != 0)
			continue;
		found = true;
		*ret_row = rows[i];
		*ret_back = given_up_check_not_in_use(root, &rows[i], reason) == 0 &&
			    mirror_medium_is_back(root, &rows[i], reason) == 0;
	}
	return r < 0 ? r : found ? 0 : -ENOENT;
}

/* A copy that was given up and is back is dropped before a copy in use of the same name: the latter
 * may have replaced it, and the order cannot mean that. */
int mirror_change_drop(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	struct reason absent = {""};
	struct mirror_row row;
	bool back;

	reason_clear(reason);
	if (strcmp(order->name, MIRROR_MAIN) == 0)
		return reason_set(reason, -RE_REFUSED,
				"the main copy cannot be dropped; when it is lost, replace it: "
				"recsealctl root replace " MIRROR_MAIN);
	(void)mirrors_ready(root, NULL); /* who is away shows below */
	size_t i = copies_find(root, order->name);
	int r = given_up_find(root, order->name, &row, &absent, &back);
	if (r < 0 && r != -ENOENT)
		return r;
	/* No old copy has turned up, so the order means the one in use. */
	if (!back && i < root->copies->n)
		return change_drop(eraser, i, order, reason);
	if (!back)
		return r < 0 ? reason_set(reason, r, "there is no root mirror %s", order->name)
			     : reason_set(reason, -RE_REFUSED, "%s", absent.text);
	r = mirror_medium_retire(root, &row, reason);
	if (r == 0)
		r = mirror_change_record(
				root, &row, MIRROR_CHANGE_REMOVE, order, "root mirror overwritten");
	return r;
}

/* Replacing. */

static int change_replace_mirror(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	size_t i = copies_find(root, order->name);
	struct mirror_row row = {.kind = order->kind,
			.state = MIRROR_EMPTY,
			.assurance = "file",
			.added_us = clock_now_us(&root->clock)};

	if (i == root->copies->n)
		return reason_set(reason, -ENOENT, "there is no root mirror %s", order->name);
	int r = root->copies->member[i].provider
				? 0
				: mirror_change_check_limit(root, &root->copies->member[i], reason);
	if (r == 0)
		r = order_check_new(root, order, reason);
	if (r < 0)
		return r;
	snprintf(row.name, sizeof(row.name), "%s", order->name);
	snprintf(row.location, sizeof(row.location), "%s", order->location);
	r = mirror_change_record(root, &row, MIRROR_CHANGE_ADD, order, "replace root mirror");
	/* The new copy is complete before the old one goes: there is never one copy less. */
	if (r == 0)
		r = change_settle_new(eraser, &row, order, reason);
	return r < 0 ? r : change_drop(eraser, i, order, reason);
}

int mirror_change_replace(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	bool own = strcmp(order->name, MIRROR_MAIN) == 0;

	reason_clear(reason);
	(void)mirrors_ready(root, NULL); /* who is away shows below */
	if (own && order->location)
		return reason_set(reason, -RE_REFUSED,
				"the main copy is made where the configuration says (Root=, "
				"TpmDevice=): omit --file and --tpm2");
	if (!own && !order->location)
		return reason_set(reason, -RE_REFUSED,
				"say where the new copy is to be: --file DIRECTORY or --tpm2 TCTI");
	return own ? mirror_change_replace_main(eraser, order, reason)
		   : change_replace_mirror(eraser, order, reason);
}
