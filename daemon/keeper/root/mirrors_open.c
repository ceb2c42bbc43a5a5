/* The set of copies that a vault has when it is made or opened. */
#include "daemon/keeper/root/mirrors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/root/mirror_medium.h"
#include "daemon/keeper/root/mirrors_internal.h"
#include "daemon/keeper/root/root_main.h"
#include "storage/tables/mirror_table.h"

static int copies_new(
		struct root *root, struct root_provider *provider, const struct reason *why_away)
{
	struct root_member own = {.name = MIRROR_MAIN,
			.assurance = root_main_assurance(root),
			.provider = provider};
	struct root_set *set = root_set_new();

	if (!set)
		return -ENOMEM;
	snprintf(own.location, sizeof(own.location), "%s", root->settings.keeper_dir);
	if (why_away)
		own.why_away = *why_away;
	int r = root_set_add(set, &own);
	if (r < 0)
		root_set_free(set);
	else
		root->copies = set;
	return r;
}

int mirrors_create(struct root *root, struct reason *reason)
{
	struct root_provider *own;
	int r = root_main_create(root, &own, reason);

	if (r == 0)
		r = copies_new(root, own, &(struct reason){""});
	return r;
}

static int mirrors_count_in_use(struct db *db, size_t *ret_count)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n, in_use = 0;
	int r = mirror_table_list(db, &rows, &n);

	for (size_t i = 0; r == 0 && i < n; i++)
		in_use += rows[i].state == MIRROR_IN_USE;
	if (r == 0)
		*ret_count = in_use;
	return r;
}

void mirrors_shorten_reason(int r, struct reason *reason)
{
	if (r == -ENOENT)
		reason_set(reason, r, "its root.slots is missing");
	else if (r == -RE_CORRUPT)
		reason_set(reason, r, "it is damaged");
	else
		reason->text[strcspn(reason->text, "\n")] = '\0';
}

/* A root file that was copied may be from the past: only the administrator can tell, mirrors or
 * not. With a TPM the same error means another mainboard, and then the main copy is just away. */
static bool main_can_be_away(const struct root *root, int r)
{
	bool file = root_assurance_rank(root_main_assurance(root)) == 0;

	return r != -RE_MLOCK && r != -ENOMEM && !(r == -RE_MOVED && file);
}

static int copies_add_main(struct root *root, bool adopt, struct reason *reason)
{
	struct root_provider *own = NULL;
	size_t mirrors = 0;
	int r = mirrors_count_in_use(root->db, &mirrors);

	if (r < 0)
		return r;
	r = root_main_open(root, adopt, &own, reason);
	/* Without mirrors in use nothing can stand in for it. */
	if (r < 0 && (mirrors == 0 || !main_can_be_away(root, r)))
		return r;
	if (r < 0)
		mirrors_shorten_reason(r, reason);
	r = copies_new(root, own, reason);
	reason_clear(reason);
	return r < 0 ? r : mirror_table_main_away(root->db, &root->copies->member[0].away_us);
}

#define ALTERED                                                                                    \
	"what keeper.db says about it was altered outside the keeper: nothing is written there "   \
	"until keeper.db is restored"

static int mirror_forget(struct root *root, int64_t id)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	int r = db_transaction_begin(&transaction, root->db);

	if (r == 0)
		r = mirror_table_remove(root->db, id);
	return r < 0 ? r : db_transaction_commit(&transaction);
}

/* Removes a mirror that was being added or removed when the keeper last stopped. An empty one that
 * cannot be removed does no harm until the next start. */
static int mirror_clear_up(struct root *root, struct mirror_row *row, struct reason *reason)
{
	int r = mirror_medium_retire(root, row, reason);

	if (r == 0)
		r = mirror_forget(root, row->id);
	/* It holds no root any more, so a failure to remove it does not matter. */
	return row->state == MIRROR_EMPTY ? 0 : r;
}

/* Of one that is no more in use, or not yet, what is left goes (clear_up). */
static int copies_add_mirror(struct root *root, struct mirror_row *row, bool clear_up)
{
	struct root_member member = {.id = row->id,
			.assurance = root_assurance_label(row->assurance),
			.away_us = row->away_us};

	/* An altered row that says so is no proof that the mirror was given up. */
	if (row->state == MIRROR_GIVEN_UP && !row->altered)
		return 0;
	if (clear_up != (row->state != MIRROR_IN_USE))
		return 0;
	if (row->altered)
		reason_set(&member.why_away, 0, ALTERED);
	/* A change that was cut short: its medium is overwritten now, if it is there. */
	else if (clear_up && mirror_clear_up(root, row, &member.why_away) == 0)
		return 0;
	/* It stays in the set as away: erasures wait for it. */
	else if (!clear_up && mirror_medium_open(root, row, &member.why_away, &member.provider) < 0)
		member.provider = NULL;
	snprintf(member.name, sizeof(member.name), "%s", row->name);
	snprintf(member.location, sizeof(member.location), "%s", row->location);
	int r = root_set_add(root->copies, &member);
	if (r < 0)
		root_provider_free(member.provider);
	return r;
}

int mirrors_open(struct root *root, bool adopt, struct reason *reason)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0;
	int r = copies_add_main(root, adopt, reason);

	if (r == 0)
		r = mirror_table_list(root->db, &rows, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = copies_add_mirror(root, &rows[i], false);
	/* Last, when every copy was tried. */
	if (r == 0 && root_set_present(root->copies) == 0)
		r = reason_set(reason, -RE_NO_ROOT,
				"no copy of the root can be reached: %s. Bring the main copy or a "
				"mirror back; see recseal-keeper(8)",
				root->copies->member[0].why_away.text);
	return r;
}

void mirrors_distrust(struct root *root)
{
	struct mirror_row row;

	for (size_t i = 1; i < root->copies->n; i++) {
		if (mirror_table_by_id(root->db, root->copies->member[i].id, &row) < 0)
			root_set_lose(root->copies, i, ALTERED);
	}
}

int mirrors_clear_up(struct root *root)
{
	_cleanup_free_ struct mirror_row *rows = NULL;
	size_t n = 0;
	int r = mirror_table_list(root->db, &rows, &n);

	for (size_t i = 0; i < n && r == 0; i++)
		r = copies_add_mirror(root, &rows[i], true);
	return r;
}

int mirrors_reopen(struct root *root, size_t i, struct reason *reason,
		struct root_provider **ret_provider)
{
	struct mirror_row row;

	if (i == MIRROR_OF_OWN) {
		int r = root_main_open(root, false, ret_provider, reason);
		if (r < 0)
			mirrors_shorten_reason(r, reason);
		return r;
	}
	int r = mirror_table_by_id(root->db, root->copies->member[i].id, &row);
	/* Unsettled ones below are not opened but cleared up. */
	if (r == 0 && row.state == MIRROR_IN_USE)
		return mirror_medium_open(root, &row, reason, ret_provider);
	if (r == 0)
		r = mirror_clear_up(root, &row, reason);
	return r < 0 ? r : -RE_GONE;
}
