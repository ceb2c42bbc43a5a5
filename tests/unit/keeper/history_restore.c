/* An older database is put back: from before an epoch it is refused; of the same epoch it opens, and no
 * order and no mirror is forgotten. */
#include "tests/unit/keeper/history.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/vault/recordings.h"

static void reopen_saved(struct history *h)
{
	char *text = NULL;

	if (vault_fixture_reopen(&h->f, 0, &text) < 0)
		fail_msg("seed %u step %u: it does not open: %s", h->seed, h->step, text);
	free(text);
	h->faulty = false;
}

void history_save(struct history *h)
{
	h->saved_epoch = vault_epoch(h->f.vault); /* a start may make another */
	vault_fixture_shut(&h->f);
	vault_fixture_shell(&h->f,
			"rm -rf $D/save && mkdir $D/save && cp -a $D/keeper/keeper.db* $D/save/");
	reopen_saved(h);
	memcpy(h->saved, h->known, sizeof(h->saved));
	h->saved_n = h->n;
}

static bool is_due(struct history *h, const struct known *known)
{
	struct recording_row row;

	vault_fixture_row(&h->f, known->id, &row);
	bool due = !recording_is_live(row.state) && row.expires_us <= h->f.now_us;
	catalog_recording_clear(&row);
	return due;
}

static bool is_live_still(struct history *h, const struct known *known)
{
	return recording_is_live(vault_fixture_state(&h->f, known->id));
}

/* The model goes back as well; but whoever was ordered to go is to go still. What is only due is noted
 * again when retention looks. Where a move was forgotten, so is an order that was about the account it
 * went to: what the database says counts. */
static void model_go_back(struct history *h)
{
	bool more;

	(void)retention_run(&h->f.vault->eraser, 100, &more, NULL);
	for (size_t i = 0; i < h->saved_n; i++) {
		struct known was = h->saved[i];
		const struct known *now = &h->known[i];
		bool moved = was.paths != now->paths;
		if (now->doomed && !was.doomed)
			was.doomed = moved ? !is_live_still(h, &was) : true;
		was.doomed |= is_due(h, &was);
		h->known[i] = was;
	}
	memset(&h->known[h->saved_n], 0, (RECORDINGS - h->saved_n) * sizeof(h->known[0]));
	h->n = h->saved_n;
}

/* A mirror that was dropped since is waited for, until it is given up. */
static void give_up_spare(struct history *h)
{
	struct mirror_order order = {.name = "spare", .kind = MIRROR_FILE, .reason = "test"};
	const struct root_set *copies = h->f.vault->root.copies;
	struct reason why = {""};

	(void)mirrors_ready(&h->f.vault->root, NULL);
	for (size_t i = 1; i < copies->n; i++) {
		if (strcmp(copies->member[i].name, "spare") != 0 || copies->member[i].provider)
			continue;
		h->f.now_us += 8 * SCENE_DAY_US;
		if (mirror_change_drop(&h->f.vault->eraser, &order, &why) < 0)
			history_wrong(h, "a mirror that is gone cannot be given up");
		return;
	}
}

void history_put_back(struct history *h)
{
	uint64_t epoch = vault_epoch(h->f.vault);
	uint8_t void_top[ROOT_DIGEST_BYTES];
	/* A copy that was away may hold the root of a stage that was given up, which only the newer
	 * database knows to be void. */
	bool voided = mirror_table_get_void(h->f.vault->db, void_top) > 0;
	char *text = NULL;

	if (h->saved_epoch == 0)
		return;
	vault_fixture_shut(&h->f);
	vault_fixture_shell(&h->f,
			"rm -rf $D/new && mkdir $D/new && mv $D/keeper/keeper.db* $D/new/ &&"
			" cp -a $D/save/keeper.db* $D/keeper/");
	int r = vault_fixture_reopen(&h->f, 0, &text);
	h->faulty = false;
	if (h->saved_epoch < epoch || (voided && r == -RE_EPOCH)) {
		free(text);
		if (r != -RE_EPOCH)
			history_wrong(h, "a database from before an epoch opens");
		if (r == 0)
			vault_fixture_shut(&h->f);
		vault_fixture_shell(&h->f, "rm -f $D/keeper/keeper.db* && mv $D/new/* $D/keeper/");
		reopen_saved(h);
		h->refusals++;
		return;
	}
	if (r < 0)
		fail_msg("seed %u step %u: a database of the same epoch does not open: %s", h->seed,
				h->step, text);
	free(text);
	h->restores++;
	give_up_spare(h);
	model_go_back(h);
}
