#include "daemon/keeper/erasure/root_move.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/root/root_place.h"
#include "storage/root/root_pair.h"
#include "storage/tables/audit.h"

/* The pair's slot 0 is the present root's, 1 the new place's. */
static int pair_with_new(struct vault *vault, struct root_provider *fresh)
{
	struct root_provider *const both[ROOT_SLOTS] = {vault->root->member[0].provider, fresh};
	const unsigned slot[ROOT_SLOTS] = {vault->root_slot, 0};
	struct root_provider *pair = root_pair_new(both, slot);

	if (!pair)
		return -ENOMEM;
	root_set_exchange(vault->root, 0, pair);
	vault->root_slot = 0;
	return 0;
}

static int audit_move(struct vault *vault)
{
	const struct audit_record record = {.at_us = clock_now_us(&vault->clock),
			.action = "move root",
			.subject = vault->root->assurance,
			.epoch = vault_epoch(vault)};
	int r = db_begin(vault->db);

	if (r == 0)
		r = audit_append(vault->db, &record);
	if (r == 0)
		r = db_commit(vault->db);
	if (r < 0)
		db_rollback(vault->db);
	return r;
}

int root_move(struct vault *vault, FILE *errors)
{
	struct root_provider *fresh = NULL;
	struct erasure_result result;

	if (vault->root->n > 1) {
		fputs("the root has mirrors: drop them first, and add them again after the move\n",
				errors);
		return -RE_REFUSED;
	}
	if (root_place_is_file(vault) != (strcmp(vault->config->root, "tpm2") == 0))
		return 0;
	int r = root_place_create(vault, &fresh, errors);
	if (r == 0)
		r = pair_with_new(vault, fresh);
	if (r < 0) {
		root_provider_free(fresh);
		fprintf(errors, "cannot make a place for the root: %s\n", error_text(r));
		return r;
	}
	r = erasure_run(vault, NULL, 0, 0, NULL, &result);
	if (r < 0)
		fprintf(errors, "cannot move the root: %s; start again to finish or undo it\n",
				error_text(r));
	if (r == 0)
		r = root_place_settle(vault, errors);
	return r < 0 ? r : audit_move(vault);
}
