/* Changes of the root's mirrors, on an officer's order: add, drop, replace, give up.
 *
 * Invariants: a medium is on record before it holds a root, and until it was overwritten or an
 * officer gave it up; each change of the record is one transaction with its audit record; and the
 * set keeps one copy that can be reached at all times. A change that is cut short is cleared up at
 * the next start (mirrors_open()). */
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
#include "daemon/keeper/root/mirror_medium.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/root/root_main.h"

/* One change of the table, and its record, in a transaction. */

enum change { CHANGE_ADD, CHANGE_PUT, CHANGE_REMOVE };

static int change_apply(struct root *root, struct mirror_row *row, enum change change)
{
	switch (change) {
	case CHANGE_ADD:
		return mirror_table_add(root->db, row);
	case CHANGE_PUT:
		return mirror_table_put(root->db, row);
	case CHANGE_REMOVE:
		break;
	}
	return mirror_table_remove(root->db, row->id);
}

static int change_record(struct root *root, struct mirror_row *row, enum change change,
		const struct mirror_order *order, const char *action)
{
	const struct audit_actor actor = {order->uid, order->reason};
	int r = db_begin(root->db);

	if (r == 0)
		r = change_apply(root, row, change);
	/* One transaction: no change of the copies is without its record. */
	if (r == 0)
		r = audit_log_append(&root->audit, &actor, action, row->name, root_epoch(root));
	if (r == 0)
		r = db_commit(root->db);
	if (r < 0) {
		db_rollback(root->db);
		return r;
	}
	/* After the commit: the journal does not report what may be rolled back. */
	notices_tell(root->notices, LOG_NOTICE, EVENT_PLAIN, NULL, "%s: %s (%s), by uid %u", action,
			row->name, row->location, (unsigned)order->uid);
	return 0;
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
static int medium_put_root(struct root *root, struct root_provider *provider)
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

/* Makes the medium, writes the root and takes it into use. On failure the medium is removed again;
 * if even that fails, it stays on record as a copy that is away. */
static int change_settle_new(struct root *root, struct mirror_row *row,
		const struct mirror_order *order, struct reason *reason)
{
	struct reason why_left = {""};
	struct root_provider *provider = NULL;
	/* It is on record as empty already: a crash from here on is cleared up at the next
	 * start. */
	int r = mirror_medium_create(root, row, reason, &provider);

	if (r < 0) {
		(void)change_record(root, row, CHANGE_REMOVE, order, "root mirror not added");
		return r;
	}
	if (medium_is_too_weak(root, provider))
		r = reason_set(reason, -RE_REFUSED,
				"the assurance of this mirror is %s, which is below "
				"RequireAssurance=%s",
				provider->assurance, root->settings.require_assurance);
	/* Before the root is written: from now on the medium has to be overwritten. */
	if (r == 0)
		r = mirror_medium_note(root, row, MIRROR_UNSETTLED);
	if (r == 0)
		r = medium_put_root(root, provider);
	if (r == 0) {
		/* Only a complete copy counts as in use: the vault may open with it. */
		row->state = MIRROR_IN_USE;
		snprintf(row->assurance, sizeof(row->assurance), "%s", provider->assurance);
		r = change_record(root, row, CHANGE_PUT, order, "root mirror in use");
	}
	if (r == 0)
		r = copies_append(root, row, provider, &(struct reason){""});
	if (r == 0)
		return 0;
	/* Something failed: the root may be on the medium already, so it is overwritten. */
	root_provider_free(provider);
	if (mirror_medium_retire(root, row, &why_left) == 0)
		(void)change_record(root, row, CHANGE_REMOVE, order, "root mirror not added");
	else if (row->state != MIRROR_EMPTY && copies_append(root, row, NULL, &why_left) < 0)
		/* A copy that nobody knows of: only a restart reads the record again. */
		root->stuck = true;
	return r;
}

int mirror_add_new(struct root *root, const struct mirror_order *order, struct reason *reason)
{
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
	r = change_record(root, &row, CHANGE_ADD, order, "add root mirror");
	if (r == 0)
		r = change_settle_new(root, &row, order, reason);
	return r;
}

/* Dropping. */

/* The mirror can be reached: it is noted as unsettled, overwritten, removed, and forgotten. */
static int change_overwrite(struct root *root, struct mirror_row *row,
		const struct mirror_order *order, struct reason *reason)
{
	size_t i = copies_index_of(root, row->id);

	/* Noted first: if the keeper dies now, the next start goes on overwriting. */
	row->state = MIRROR_UNSETTLED;
	int r = change_record(root, row, CHANGE_PUT, order, "drop root mirror");
	if (r < 0)
		return r;
	/* Out of the set, so that no epoch writes a root into it meanwhile. */
	if (i < root->copies->n)
		root_provider_free(root_set_take(root->copies, i));
	r = mirror_medium_retire(root, row, reason);
	if (r == 0)
		return change_record(root, row, CHANGE_REMOVE, order, "root mirror overwritten");
	if (row->state != MIRROR_EMPTY && copies_append(root, row, NULL, reason) < 0)
		root->stuck = true;
	return r;
}

static int away_check_limit(
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

static int change_give_up(struct root *root, size_t i, struct mirror_row *row,
		const struct mirror_order *order, struct reason *reason)
{
	int r = away_check_limit(root, &root->copies->member[i], reason);

	if (r < 0)
		return r;
	row->state = MIRROR_GIVEN_UP;
	row->given_up_us = clock_now_us(&root->clock);
	/* The epoch says which erasures this copy can undo. */
	row->given_up_epoch = root_epoch(root);
	r = change_record(root, row, CHANGE_PUT, order, "give up root mirror");
	/* After the record: erasures stop waiting for it only when its loss is durable. */
	if (r == 0)
		(void)root_set_take(root->copies, i);
	return r;
}

static int change_drop(struct root *root, size_t i, const struct mirror_order *order,
		struct reason *reason)
{
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
		return change_give_up(root, i, &row, order, reason);
	return change_overwrite(root, &row, order, reason);
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
int mirror_drop(struct root *root, const struct mirror_order *order, struct reason *reason)
{
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
		return change_drop(root, i, order, reason);
	if (!back)
		return r < 0 ? reason_set(reason, r, "there is no root mirror %s", order->name)
			     : reason_set(reason, -RE_REFUSED, "%s", absent.text);
	r = mirror_medium_retire(root, &row, reason);
	if (r == 0)
		r = change_record(root, &row, CHANGE_REMOVE, order, "root mirror overwritten");
	return r;
}

/* Replacing. */

static int change_replace_mirror(
		struct root *root, const struct mirror_order *order, struct reason *reason)
{
	size_t i = copies_find(root, order->name);
	struct mirror_row row = {.kind = order->kind,
			.state = MIRROR_EMPTY,
			.assurance = "file",
			.added_us = clock_now_us(&root->clock)};

	if (i == root->copies->n)
		return reason_set(reason, -ENOENT, "there is no root mirror %s", order->name);
	int r = root->copies->member[i].provider
				? 0
				: away_check_limit(root, &root->copies->member[i], reason);
	if (r == 0)
		r = order_check_new(root, order, reason);
	if (r < 0)
		return r;
	snprintf(row.name, sizeof(row.name), "%s", order->name);
	snprintf(row.location, sizeof(row.location), "%s", order->location);
	r = change_record(root, &row, CHANGE_ADD, order, "replace root mirror");
	/* The new copy is complete before the old one goes: there is never one copy less. */
	if (r == 0)
		r = change_settle_new(root, &row, order, reason);
	return r < 0 ? r : change_drop(root, i, order, reason);
}

/* Notes on record that the main copy was given up and not overwritten. */
static int main_give_up(struct root *root, const struct mirror_order *order)
{
	struct mirror_row row = {.name = MIRROR_MAIN,
			.kind = root_main_is_file(root) ? MIRROR_FILE : MIRROR_TPM2,
			.state = MIRROR_GIVEN_UP,
			.added_us = clock_now_us(&root->clock),
			.given_up_us = clock_now_us(&root->clock),
			.given_up_epoch = root_epoch(root)};
	struct mirror_row before;
	/* Repeating the order must not add a second row for the same loss. */
	int r = mirror_table_find(root->db, MIRROR_MAIN, MIRROR_GIVEN_UP, &before);

	if (r == 0 && before.given_up_epoch == row.given_up_epoch)
		return 0; /* an attempt that was cut short */
	if (r < 0 && r != -ENOENT)
		return r;
	snprintf(row.location, sizeof(row.location), "%s", root->settings.keeper_dir);
	snprintf(row.assurance, sizeof(row.assurance), "%s", root->copies->member[0].assurance);
	return change_record(root, &row, CHANGE_ADD, order, "give up root");
}

static int main_replace(struct root *root, const struct mirror_order *order, struct reason *reason)
{
	struct root_provider *provider = NULL;

	if (root->copies->member[0].provider)
		return reason_set(reason, -RE_REFUSED,
				"the main copy is there; to move it, change Root= and run "
				"recseal-keeper --move-root");
	if (root_set_present(root->copies) == 0)
		return reason_set(reason, -RE_REFUSED,
				"no copy of the root can be reached: bring one back first");
	int r = away_check_limit(root, &root->copies->member[0], reason);
	if (r == 0)
		r = main_give_up(root, order);
	/* Renamed, not removed: the files may help to find out what was lost. */
	if (r == 0)
		r = root_main_abandon(root);
	/* After the record: a crash in between is repeated with the same order. */
	if (r == 0)
		r = root_main_create(root, &provider, reason);
	if (r == 0)
		r = medium_put_root(root, provider);
	if (r < 0) {
		root_provider_free(provider);
		return r;
	}
	root_set_regain(root->copies, MIRROR_OF_OWN, provider);
	(void)mirrors_ready(root, NULL); /* who is away shows below */
	return 0;
}

int mirror_replace(struct root *root, const struct mirror_order *order, struct reason *reason)
{
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
	return own ? main_replace(root, order, reason) : change_replace_mirror(root, order, reason);
}
