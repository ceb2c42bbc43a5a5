/* Replacing the main copy of the root, when it is lost. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "daemon/keeper/erasure/mirror_change_internal.h"
#include "daemon/keeper/root/root_main.h"

/* The giving up of the main copy, to be noted in the transaction that stages the epoch. */
struct giving_up {
	struct root *root;
	const struct mirror_order *order;
	struct mirror_row row;
};

static int giving_up_note(void *context)
{
	struct giving_up *g = context;

	return mirror_change_write(g->root, &g->row, MIRROR_CHANGE_ADD, g->order, "give up root");
}

/* What an attempt noted that was cut short: 1, or 0. *ret_epoch: the one that was present then. */
static int main_find_given_up(const struct root *root, uint64_t *ret_epoch)
{
	struct mirror_row row;
	int r = mirror_table_find(root->db, MIRROR_MAIN, MIRROR_GIVEN_UP, &row);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret_epoch = row.given_up_epoch;
	return row.given_up_us >= root->copies->member[0].away_us;
}

/* An epoch without the main copy, and with the record that it was not overwritten: only then may
 * another be made. */
static int main_give_up(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	struct root_member *own = &root->copies->member[MIRROR_OF_OWN];
	struct giving_up g = {root, order,
			{.name = MIRROR_MAIN,
					.kind = root_main_is_file(root) ? MIRROR_FILE : MIRROR_TPM2,
					.state = MIRROR_GIVEN_UP,
					.added_us = clock_now_us(&root->clock),
					.given_up_us = clock_now_us(&root->clock),
					.given_up_epoch = root_epoch(root)}};
	uint64_t epoch = 0;
	int noted = main_find_given_up(root, &epoch);

	if (noted < 0 || (noted && epoch < root_epoch(root)))
		return noted < 0 ? noted : 0; /* the epoch was made, too */
	snprintf(g.row.location, sizeof(g.row.location), "%s", root->settings.keeper_dir);
	snprintf(g.row.assurance, sizeof(g.row.assurance), "%s", own->assurance);
	own->left_out = true;
	int r = erasure_change_epoch(eraser, noted ? NULL : giving_up_note, &g, reason);
	own->left_out = false;
	return r;
}

int mirror_change_replace_main(
		struct eraser *eraser, const struct mirror_order *order, struct reason *reason)
{
	struct root *root = eraser->root;
	struct root_provider *provider = NULL;

	if (root->copies->member[0].provider)
		return reason_set(reason, -RE_REFUSED,
				"the main copy is there; to move it, change Root= and run "
				"recseal-keeper --move-root");
	if (root_set_present(root->copies) == 0)
		return reason_set(reason, -RE_REFUSED,
				"no copy of the root can be reached: bring one back first");
	int r = mirror_change_check_limit(root, &root->copies->member[0], reason);
	if (r == 0)
		r = main_give_up(eraser, order, reason);
	/* Renamed, not removed: the files may help to find out what was lost. */
	if (r == 0)
		r = root_main_abandon(root);
	if (r == 0)
		r = root_main_create(root, &provider, reason);
	if (r == 0)
		r = mirror_change_put_root(root, provider);
	if (r < 0) {
		root_provider_free(provider);
		return r;
	}
	root_set_regain(root->copies, MIRROR_OF_OWN, provider);
	(void)mirrors_ready(root, NULL); /* who is away shows below */
	return 0;
}
