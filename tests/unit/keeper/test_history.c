/* Random histories of all that meets in an erasure: shreds and expiry, moves out of quarantine,
 * copies of the root that are away, fail, come and go, burial in strides, restarts, and ends of the
 * process at any write; against what must be true after each step (history.h). HISTORY_SEED=N for
 * one of them, and HISTORIES=N for more. */
#include "tests/unit/keeper/history.h"
#include "tests/unit/support/faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "daemon/keeper/erasure/assign.h"
#include "daemon/keeper/erasure/bury.h"
#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/erasure/retention.h"
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"

#define HISTORIES 6
#define STEPS     60
#define NAMES     6
#define KILLED_AT 90 /* operations on the media, at most, before a process ends */

/* The mutants: what the keeper forgets to do. */
static enum mutant {
	SOUND,
	NO_FORMER_PLACE,
	NO_TALLY,
	NO_OVERWRITING,
	NO_RETIRING,
	NO_REMINDERS,
	NO_EPOCHS
} mutant;

int __real_former_node_add(struct db *db, const void *place);
int __wrap_former_node_add(struct db *db, const void *place);
int __wrap_former_node_add(struct db *db, const void *place)
{
	return mutant == NO_FORMER_PLACE ? 0 : __real_former_node_add(db, place);
}

int __real_catalog_recording_move(struct db *db, int64_t id, int64_t account, int64_t group,
		enum recording_state state);
int __wrap_catalog_recording_move(struct db *db, int64_t id, int64_t account, int64_t group,
		enum recording_state state);
int __wrap_catalog_recording_move(struct db *db, int64_t id, int64_t account, int64_t group,
		enum recording_state state)
{
	if (mutant == NO_TALLY)
		return db_run(db,
				"UPDATE recording SET account = ?, grp = ?, state = ? WHERE id = ?",
				"iiii", account, group, (int64_t)state, id);
	return __real_catalog_recording_move(db, id, account, group, state);
}

/* The first mirror cannot overwrite: with the new root in use, or not yet, the rest goes on.
 */
static bool refusing;

int __real_root_set_clear(struct root_set *set, size_t i, unsigned slot);
int __wrap_root_set_clear(struct root_set *set, size_t i, unsigned slot);
int __wrap_root_set_clear(struct root_set *set, size_t i, unsigned slot)
{
	if (refusing && i == 1)
		return -EIO;
	return mutant == NO_OVERWRITING && i == 1 ? 0 : __real_root_set_clear(set, i, slot);
}

int __real_mirror_medium_retire(struct root *root, struct mirror_row *row, struct reason *reason);
int __wrap_mirror_medium_retire(struct root *root, struct mirror_row *row, struct reason *reason);
int __wrap_mirror_medium_retire(struct root *root, struct mirror_row *row, struct reason *reason)
{
	return mutant == NO_RETIRING ? 0 : __real_mirror_medium_retire(root, row, reason);
}

int __real_object_store_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context);
int __wrap_object_store_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context);
int __wrap_object_store_reminder_each(
		struct object_store *store, uint64_t epoch, object_reminder visit, void *context)
{
	return mutant == NO_REMINDERS
			       ? 0
			       : __real_object_store_reminder_each(store, epoch, visit, context);
}

int __real_erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason);
int __wrap_erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason);
int __wrap_erasure_change_epoch(struct eraser *eraser, int (*prepare)(void *context), void *context,
		struct reason *reason)
{
	return mutant == NO_EPOCHS ? vault_fixture_change_without_epoch(eraser, prepare, context)
				   : __real_erasure_change_epoch(eraser, prepare, context, reason);
}

static unsigned roll(struct history *h, unsigned n)
{
	h->seed = h->seed * 1103515245u + 12345u;
	return h->seed / 65536u % n;
}

/* --- Steps. Each may be carried out by a process that ends on the way: what is then true of the
 * recordings it was about is told by the next start, but all of them must say the same. --- */

struct step {
	enum { SHRED_ACCOUNT, SHRED_RECORDING, ASSIGN, EXPIRE, RETRY, BURY, ADD, DROP } kind;
	struct known *about; /* of the first three */
	char name[16];       /* of the account to assign to */
};

static int mirror_change(struct history *h,
		int (*change)(struct eraser *eraser, const struct mirror_order *order,
				struct reason *reason))
{
	char place[128];
	struct reason why = {""};
	const struct mirror_order order = {
			.name = "spare", .kind = MIRROR_FILE, .reason = "test", .location = place};

	snprintf(place, sizeof(place), "%s/spare", h->f.dir);
	int r = change(&h->f.vault->eraser, &order, &why);
	if (r == -EEXIST)
		history_wrong(h, "something is left where a mirror was");
	return r;
}

static int carry_out(struct history *h, const struct step *step)
{
	struct erasure_result result;
	struct recording_row row;
	struct account_row account;
	bool more;
	int r;

	switch (step->kind) {
	case SHRED_ACCOUNT:
		return vault_fixture_erase(&h->f, ERASE_ACCOUNT, step->about->id);
	case SHRED_RECORDING:
		return vault_fixture_erase(&h->f, ERASE_RECORDING, step->about->id);
	case EXPIRE:
		return retention_run(&h->f.vault->eraser, 100, &more, NULL);
	case RETRY:
		return erasure_retry(&h->f.vault->eraser, NULL);
	case BURY:
		r = bury_rows(h->f.vault->db, 1 + step->name[0] % 7, &more, NULL);
		return r < 0 ? r : bury_objects(h->f.vault->db, h->f.vault->store, 3, &more, NULL);
	case ADD:
		return mirror_change(h, mirror_change_add);
	case DROP:
		return mirror_change(h, mirror_change_drop);
	case ASSIGN:
		break;
	}
	vault_fixture_row(&h->f, step->about->id, &row);
	if (accounts_find(h->f.vault->root.tree, step->name, strlen(step->name), &account) < 0)
		return -ENOENT;
	r = vault_fixture_assign(h->f.vault, &row, &account, &result);
	catalog_account_clear(&account);
	catalog_recording_clear(&row);
	return r;
}

static void faults_on_all(struct history *h)
{
	h->faulty = true;
	for (size_t i = 0; i < h->f.vault->root.copies->n; i++) {
		if (h->f.vault->root.copies->member[i].provider)
			faults_on_member(h->f.vault, i);
	}
}

static void reopen(struct history *h)
{
	char *text = NULL;

	refusing = false;
	if (vault_fixture_reopen(&h->f, 0, &text) < 0)
		fail_msg("seed %u step %u: it does not open: %s", h->seed, h->step, text);
	free(text);
	h->faulty = false;
}

static void carry_out_and_end(struct history *h, const struct step *step)
{
	enum fault fault = (enum fault)(FAULT_EXIT_BEFORE + roll(h, 3));
	unsigned at = roll(h, KILLED_AT);

	vault_fixture_shut(&h->f);
	pid_t pid = fork();
	if (pid == 0) {
		bool refuses = refusing;
		refusing = false;
		faults_on_database(true);
		if (vault_fixture_reopen(&h->f, 0, NULL) < 0)
			_exit(1);
		refusing = refuses;
		faults_on_all(h);
		faults_arm(fault, at, 1);
		(void)carry_out(h, step);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != FAULT_EXIT_CODE && WEXITSTATUS(status) != 0)
		history_wrong(h, "it does not open in the process that is to end");
	reopen(h);
}

/* Whether the order was taken: at least noted. */
static void do_step(struct history *h, const struct step *step)
{
	refusing = roll(h, 5) == 0;
	switch (roll(h, 4)) {
	case 0:
		carry_out_and_end(h, step);
		return;
	case 1:
		faults_on_all(h);
		faults_arm(FAULT_EIO + roll(h, 3), roll(h, 30), 1 + roll(h, 6));
		(void)carry_out(h, step);
		(void)faults_disarm();
		break;
	default:
		(void)carry_out(h, step);
		break;
	}
	refusing = false;
	if (root_is_stuck(&h->f.vault->root))
		reopen(h);
}

static bool is_live_now(struct history *h, const struct known *known)
{
	return recording_is_live(vault_fixture_state(&h->f, known->id));
}

/* Those that the step was about are doomed, if one of them is; all must be. */
static void settle(struct history *h, const bool *about)
{
	bool any = false;

	for (size_t i = 0; i < h->n; i++)
		any = any || (about[i] && !is_live_now(h, &h->known[i]));
	for (size_t i = 0; i < h->n && any; i++)
		h->known[i].doomed |= about[i];
}

static struct known *pick(struct history *h, bool quarantined)
{
	for (int i = 0; i < 40 && h->n > 0; i++) {
		struct known *known = &h->known[roll(h, (unsigned)h->n)];
		if (known->doomed)
			continue;
		enum recording_state state = vault_fixture_state(&h->f, known->id);
		if ((state == RECORDING_QUARANTINED) == quarantined)
			return known;
	}
	return NULL;
}

static void note_path(struct history *h, struct known *known)
{
	struct recording_row row;

	vault_fixture_row(&h->f, known->id, &row);
	struct key_path path = key_path_recording(row.account, row.group, row.id);
	catalog_recording_clear(&row);
	if (known->paths > 0 && key_path_compare(&path, &known->path[known->paths - 1]) == 0)
		return;
	assert_true(known->paths < PATHS);
	known->path[known->paths++] = path;
}

static int64_t account_of(struct history *h, const struct known *known)
{
	struct recording_row row;

	vault_fixture_row(&h->f, known->id, &row);
	int64_t account = row.account;
	catalog_recording_clear(&row);
	return account;
}

static void seal(struct history *h)
{
	vault_fixture_id ids[4];
	char name[16];
	size_t n = 1 + roll(h, 4);

	snprintf(name, sizeof(name), "n%u-%u", roll(h, NAMES), h->step / 12);
	if (h->n + n > RECORDINGS)
		return;
	vault_fixture_seal(&h->f, roll(h, 3) ? name : NULL, "a/call", 1 + roll(h, 50), n, ids);
	for (size_t i = 0; i < n; i++) {
		struct known *known = &h->known[h->n++];
		memcpy(known->id, ids[i], sizeof(ids[i]));
		note_path(h, known);
		assert_int_equal(keytree_open(h->f.vault->root.tree, &known->path[0], known->key),
				0);
	}
}

static void shred(struct history *h, bool whole)
{
	bool about[RECORDINGS] = {0};
	struct known *victim = pick(h, !whole && roll(h, 3) == 0);

	if (!victim)
		return;
	int64_t account = account_of(h, victim);
	for (size_t i = 0; i < h->n; i++)
		about[i] = !h->known[i].doomed &&
			   (&h->known[i] == victim ||
					   (whole && account_of(h, &h->known[i]) == account));
	const struct step step = {.kind = whole ? SHRED_ACCOUNT : SHRED_RECORDING, .about = victim};
	do_step(h, &step);
	settle(h, about);
}

static void assign(struct history *h)
{
	struct known *stray = pick(h, true), *other = pick(h, false);
	struct step step = {.kind = ASSIGN, .about = stray};
	struct account_row account;
	char *name = NULL;

	if (!stray || !other)
		return;
	assert_int_equal(catalog_account_by_id(h->f.vault->db, account_of(h, other), &account), 0);
	/* One that is being shredded is refused before it comes to this. */
	if (erasure_table_account_is_noted(h->f.vault->db, account.id) == 0 &&
			accounts_name(h->f.vault->root.tree, &account, &name) == 0) {
		snprintf(step.name, sizeof(step.name), "%s", name);
		do_step(h, &step);
		note_path(h, stray);
	}
	free(name);
	catalog_account_clear(&account);
}

/* What is due goes, to within the width of a group. */
static void expire(struct history *h)
{
	const struct step step = {.kind = EXPIRE};

	h->f.now_us += (int64_t)roll(h, 50) * SCENE_DAY_US;
	do_step(h, &step);
	for (size_t i = 0; i < h->n; i++) {
		struct recording_row row;
		vault_fixture_row(&h->f, h->known[i].id, &row);
		h->known[i].doomed |=
				!recording_is_live(row.state) && row.expires_us <= h->f.now_us;
		catalog_recording_clear(&row);
	}
}

static void move_away_or_back(struct history *h)
{
	static const char *const moves[][2] = {{"mv $D/usb $D/usb-away", "mv $D/usb-away $D/usb"},
			{"mv $D/usb $D/usb-away; mkdir -m 700 $D/usb",
					"rmdir $D/usb; mv $D/usb-away $D/usb"},
			{"mv $D/keeper/root.slots $D/own-away",
					"mv $D/own-away $D/keeper/root.slots"}};
	const char *const *move = moves[roll(h, ELEMENTSOF(moves))];

	if (h->faulty) /* under the faulty medium it is not seen which file is open */
		reopen(h);
	history_check(h);

	vault_fixture_shell(&h->f, h->away ? h->away : move[0]);
	h->away = h->away ? NULL : move[1];
	(void)mirrors_ready(&h->f.vault->root, NULL);
}

/* Another mirror comes and goes. */
static void change_mirrors(struct history *h)
{
	struct mirror_row row;
	bool there = mirror_table_find(h->f.vault->db, "spare", MIRROR_IN_USE, &row) == 0;
	const struct step step = {.kind = there ? DROP : ADD};

	do_step(h, &step);
}

static void one_step(struct history *h)
{
	const struct step retry = {.kind = RETRY},
			  bury = {.kind = BURY, .name = {(char)roll(h, 100)}};

	switch (roll(h, 15)) {
	case 0:
	case 1:
	case 2:
		seal(h);
		break;
	case 3:
		shred(h, true);
		break;
	case 4:
		shred(h, false);
		break;
	case 5:
	case 6:
		assign(h);
		break;
	case 7:
		expire(h);
		break;
	case 8:
		move_away_or_back(h);
		break;
	case 9:
		reopen(h);
		break;
	case 10:
		do_step(h, &retry);
		break;
	case 11:
		change_mirrors(h);
		break;
	case 12:
		history_save(h);
		break;
	case 13:
		history_put_back(h);
		break;
	default:
		do_step(h, &bury);
		break;
	}
}

/* All is there again: all that was ordered is done, and nothing is left of it. */
static void end(struct history *h)
{
	bool more = true;

	if (h->away)
		move_away_or_back(h);
	reopen(h);
	struct reason why = {""};
	if (mirrors_ready(&h->f.vault->root, &why) < 0 ||
			erasure_retry(&h->f.vault->eraser, &why) < 0) {
		print_message("%s\n", why.text);
		history_wrong(h, "what was pending is not done when all is well");
	}
	while (more && !h->wrong) {
		history_check(h);
		assert_int_equal(bury_rows(h->f.vault->db, 5, &more, NULL), 0);
	}
	for (more = true; more;)
		assert_int_equal(bury_objects(h->f.vault->db, h->f.vault->store, 50, &more, NULL),
				0);
	history_check(h);
	for (size_t i = 0; i < h->n; i++) {
		if (h->known[i].doomed != h->known[i].dead)
			history_wrong(h, "what was ordered is not done");
	}
	if (history_ask(h, "SELECT count(*) FROM burial") ||
			history_ask(h, "SELECT count(*) FROM former_place") ||
			history_ask(h, "SELECT count(*) FROM erasure") ||
			history_ask(h, "SELECT count(*) FROM staged_parent"))
		history_wrong(h, "something is left of what was done");
}

static const char *live_through(unsigned seed)
{
	struct history *h = calloc(1, sizeof(*h));
	struct reason why = {""};

	assert_non_null(h);
	h->seed = seed;
	vault_fixture_open(&h->f);
	vault_fixture_shell(&h->f, "mkdir -m 700 $D/usb $D/spare");
	struct mirror_order order = {.name = "usb", .kind = MIRROR_FILE, .reason = "test"};
	char place[128];
	snprintf(place, sizeof(place), "%s/usb", h->f.dir);
	order.location = place;
	assert_int_equal(mirror_change_add(&h->f.vault->eraser, &order, &why), 0);
	for (h->step = 0; h->step < STEPS && !h->wrong; h->step++) {
		one_step(h);
		history_check(h);
	}
	if (!h->wrong)
		end(h);
	const char *what = h->wrong;
	if (what)
		print_message("seed %u, step %u: %s\n", seed, h->step, what);
	vault_fixture_close(&h->f);
	free(h);
	return what;
}

static void test_random_histories(void **state)
{
	const char *one = getenv("HISTORY_SEED"), *many = getenv("HISTORIES");
	unsigned first = one ? (unsigned)atoi(one) : 1, n = many ? (unsigned)atoi(many) : HISTORIES;

	for (unsigned seed = first; seed < first + (one && !many ? 1 : n); seed++)
		assert_null(live_through(seed));
}

/* That the histories can tell. */
static void test_mutants_are_seen(void **state)
{
	for (unsigned i = NO_FORMER_PLACE; i <= NO_EPOCHS; i++) {
		unsigned seed = 1;
		mutant = (enum mutant)i;
		while (seed < 20 && !live_through(seed))
			seed++;
		mutant = SOUND;
		assert_true(seed < 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_random_histories),
			cmocka_unit_test(test_mutants_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
