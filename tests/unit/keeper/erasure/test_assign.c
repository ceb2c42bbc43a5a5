/* Recordings moved out of quarantine: they are the account's then, and only the account's; whatever
 * fails or ends on the way, none is lost, and a shred of the account leaves no key of one behind.
 */
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
#include "daemon/keeper/keys/keytree.h"
#include "daemon/keeper/root/mirrors.h"
#include "daemon/keeper/vault/accounts.h"
#include "daemon/keeper/vault/recordings.h"
#include "storage/tables/db_internal.h"
#include "storage/tables/node_table.h"
#include "tests/unit/support/control_fixture.h"
#include "tests/unit/support/faults.h"

/* A recording in quarantine, another beside it, and one of alice's. */
struct stray {
	vault_fixture_id id, beside, alices;
	struct key_path former;
	uint8_t key[NODE_KEY_BYTES];
	int64_t row;
};

static struct key_path path_now(struct vault_fixture *vault, const char *id)
{
	struct recording_row row;

	vault_fixture_row(vault, id, &row);
	struct key_path path = key_path_recording(row.account, row.group, row.id);
	catalog_recording_clear(&row);
	return path;
}

static void stray_make(struct vault_fixture *vault, struct stray *stray)
{
	struct recording_row row;

	vault_fixture_seal(vault, "alice", "alice/a.wav", 10, 1, &stray->alices);
	vault_fixture_seal(vault, NULL, "stray.wav", 100000, 1, &stray->id);
	vault_fixture_seal(vault, NULL, "beside.wav", 10, 1, &stray->beside);
	stray->former = path_now(vault, stray->id);
	assert_int_equal(keytree_open(vault->vault->root.tree, &stray->former, stray->key), 0);
	vault_fixture_row(vault, stray->id, &row);
	stray->row = row.id;
	catalog_recording_clear(&row);
}

static int assign(struct vault_fixture *vault, const char *id, const char *name)
{
	struct recording_row row;
	struct account_row account;
	struct erasure_result result;

	vault_fixture_row(vault, id, &row);
	assert_int_equal(accounts_find(vault->vault->root.tree, name, strlen(name), &account), 0);
	int r = vault_fixture_assign(vault->vault, &row, &account, &result);
	catalog_recording_clear(&row);
	catalog_account_clear(&account);
	return r;
}

/* It is alice's, with the same key at its new place. */
static bool is_moved(struct vault_fixture *vault, const struct stray *stray)
{
	struct key_path path = path_now(vault, stray->id);
	uint8_t key[NODE_KEY_BYTES];

	assert_int_equal(keytree_open(vault->vault->root.tree, &path, key), 0);
	assert_memory_equal(key, stray->key, sizeof(key));
	bool moved = path.node[2] != stray->former.node[2];
	assert_int_equal(vault_fixture_state(vault, stray->id),
			moved ? RECORDING_SEALED : RECORDING_QUARANTINED);
	if (moved)
		assert_int_equal(path.node[2], path_now(vault, stray->alices).node[2]);
	return moved;
}

static void check_former_place_is_gone(struct vault_fixture *vault, const struct stray *stray)
{
	uint8_t key[NODE_KEY_BYTES];
	struct node_row row;

	assert_int_equal(keytree_open(vault->vault->root.tree, &stray->former, key), -ENOENT);
	assert_int_equal(node_table_get(vault->vault->db, stray->former.node[3],
					 stray->former.node[4], &row),
			-ENOENT);
}

static void check_opens(struct vault_fixture *vault, const char *id)
{
	struct recording_row row;
	struct recording_opened opened;

	vault_fixture_row(vault, id, &row);
	assert_int_equal(recordings_open(&vault->vault->ingest.recordings, &row, &opened), 0);
	close(opened.object_fd);
	close(opened.key_fd);
	catalog_recording_clear(&row);
}

/* The tallies say what the rows say. */
static void check_tally(struct vault_fixture *vault, int64_t sealed, int64_t quarantined)
{
	struct tally all, quarantine;
	struct vault *v = vault->vault;

	assert_int_equal(catalog_tally_get(v->db, 0, &all), 0);
	assert_int_equal(catalog_tally_get(v->db, v->quarantine_account, &quarantine), 0);
	assert_int_equal(all.count[RECORDING_SEALED], sealed);
	assert_int_equal(all.count[RECORDING_QUARANTINED], quarantined);
	assert_int_equal(quarantine.count[RECORDING_QUARANTINED], quarantined);
	assert_int_equal(quarantine.count[RECORDING_SEALED], 0);
}

static void shred_alice(struct vault_fixture *vault, const struct stray *stray)
{
	assert_int_equal(vault_fixture_erase(vault, ERASE_ACCOUNT, stray->alices), 0);
	assert_int_equal(vault_fixture_state(vault, stray->alices), RECORDING_DESTROYED);
}

/* No row of the database that is left opens to the key, from the root there is now. */
static void check_destroyed(struct vault_fixture *vault, const struct stray *stray)
{
	struct key_path path = path_now(vault, stray->id);
	uint8_t key[NODE_KEY_BYTES];

	assert_int_equal(vault_fixture_state(vault, stray->id), RECORDING_DESTROYED);
	check_former_place_is_gone(vault, stray);
	assert_int_equal(keytree_open(vault->vault->root.tree, &path, key), -ENOENT);
}

static json_t *assign_parameters(const char *id, const char *account, const char *reason)
{
	return json_pack("{s:s, s:s, s:s*}", "recording", id, "account", account, "reason", reason);
}

static void test_assign(void **state)
{
	struct fixture *f = *state;
	struct stray stray;
	char handle[ULID_TEXT_CHARS + 1];

	stray_make(&f->state, &stray);
	json_t *before = ask(f, "ShowRecording", json_pack("{s:s}", "id", stray.id), "recording");
	assert_string_equal(text_of(before, "state"), "quarantined");
	json_t *after = ask(f, "AssignRecording", assign_parameters(stray.id, "alice", "ticket 4"),
			"recording");
	assert_string_equal(text_of(after, "state"), "sealed");
	assert_string_equal(text_of(after, "account"), "alice");
	assert_null(json_object_get(after, "quarantine_reason"));
	assert_string_equal(text_of(after, "path"), "stray.wav");
	assert_string_equal(text_of(after, "expires_at"), text_of(before, "expires_at"));
	strcpy(handle, text_of(after, "account_handle"));
	json_decref(before);
	json_decref(after);
	assert_true(is_moved(&f->state, &stray));
	check_former_place_is_gone(&f->state, &stray);
	check_tally(&f->state, 2, 1);
	check_opens(&f->state, stray.id);
	check_opens(&f->state, stray.beside);
	assert_int_equal(vault_epoch(f->state.vault), 2);
	assert_audit(f, "replaced", "epoch", NULL);
	assert_int_equal(count_audit(f, "move recording"), 1);
	assert_int_equal(count_audit(f, "assign to account"), 1);
	assert_int_equal(count_audit(f, "destroyed"), 0);
	/* Who may hear the account's recordings may hear it; and after a start as well. */
	assert_int_equal(vault_fixture_reopen(&f->state, 0, NULL), 0);
	restart_control(f);
	check_opens(&f->state, stray.id);
	json_decref(ask(f, "OpenRecording", open_parameters(stray.id, "play", "why"), "recording"));
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct stray stray;
	char quarantine[ULID_TEXT_CHARS + 1];

	stray_make(&f->state, &stray);
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", stray.id), "recording");
	strcpy(quarantine, text_of(r, "account_handle"));
	json_decref(r);
	refute(f, "AssignRecording", assign_parameters(stray.id, "nobody", "why"),
			INTERFACE "NotFound", "what", "account nobody");
	refute(f, "AssignRecording", assign_parameters(NO_SUCH, "alice", "why"),
			INTERFACE "NotFound", NULL, NULL);
	refute(f, "AssignRecording", assign_parameters(stray.id, quarantine, "why"),
			INTERFACE "Refused", "why", "the quarantine is not an account");
	refute(f, "AssignRecording", assign_parameters(stray.alices, "alice", "why"),
			INTERFACE "Refused", NULL, NULL);
	refute(f, "AssignRecording", assign_parameters(stray.id, "alice", NULL),
			"org.varlink.service.InvalidParameter", "parameter", "reason");
	sql(f, "UPDATE account SET state = ? WHERE state = 1", ACCOUNT_CLOSED);
	refute(f, "AssignRecording", assign_parameters(stray.id, "alice", "why"),
			INTERFACE "Refused", "why", "the account is closed");
	sql(f, "UPDATE account SET state = 1 WHERE state = ?", ACCOUNT_CLOSED);
	shred_alice(&f->state, &stray);
	refute(f, "AssignRecording", assign_parameters(stray.id, "alice", "why"), INTERFACE "Gone",
			NULL, NULL);
	assert_int_equal(vault_fixture_erase(&f->state, ERASE_RECORDING, stray.beside), 0);
	refute(f, "AssignRecording", assign_parameters(stray.beside, "alice", "why"),
			INTERFACE "Gone", NULL, NULL);
	assert_false(is_moved(&f->state, &stray));
	assert_int_equal(count_audit(f, "assign to account"), 0);
}

/* The quarantine's own can be shredded, one by one, without touching the others. */
static void test_shred_in_quarantine(void **state)
{
	struct fixture *f = *state;
	struct stray stray;

	stray_make(&f->state, &stray);
	json_decref(ask(f, "Shred",
			json_pack("{s:s, s:s}", "recording", stray.id, "reason", "nobody's"),
			"result"));
	check_destroyed(&f->state, &stray);
	check_opens(&f->state, stray.beside);
	check_opens(&f->state, stray.alices);
	check_tally(&f->state, 1, 1);
}

static void test_a_shred_of_the_account_destroys_it(void **state)
{
	struct vault_fixture *vault = *state;
	struct stray stray;

	stray_make(vault, &stray);
	assert_int_equal(assign(vault, stray.id, "alice"), 0);
	shred_alice(vault, &stray);
	check_destroyed(vault, &stray);
	check_opens(vault, stray.beside);
	check_tally(vault, 0, 1);
}

/* Expiry goes with the group it came into, at the time it always had. */
static void test_it_expires_with_its_account(void **state)
{
	struct vault_fixture *vault = *state;
	struct stray stray;
	struct recording_row row;
	int64_t due_us;

	stray_make(vault, &stray);
	assert_int_equal(assign(vault, stray.id, "alice"), 0);
	vault_fixture_row(vault, stray.id, &row);
	assert_int_equal(catalog_group_next_due(vault->vault->db, &due_us), 0);
	assert_true(due_us <= row.expires_us);
	catalog_recording_clear(&row);
	assert_int_equal(vault_fixture_erase(vault, ERASE_GROUP, stray.id), 0);
	check_destroyed(vault, &stray);
	check_opens(vault, stray.beside);
}

/* The epoch cannot be committed: it is the account's, and a shred meanwhile destroys both places.
 */
static void test_a_shred_while_the_former_place_waits(void **state)
{
	struct fixture *f = *state;
	struct stray stray;
	uint8_t key[NODE_KEY_BYTES];

	stray_make(&f->state, &stray);
	faults_on_root(f->state.vault);
	faults_arm(FAULT_EIO, 0, 1);
	refute(f, "AssignRecording", assign_parameters(stray.id, "alice", "ticket"),
			INTERFACE "Pending", NULL, NULL);
	faults_disarm();
	assert_true(is_moved(&f->state, &stray));
	/* Control: its key does still hang there. */
	assert_int_equal(keytree_open(f->state.vault->root.tree, &stray.former, key), 0);
	assert_memory_equal(key, stray.key, sizeof(key));
	check_opens(&f->state, stray.id);
	shred_alice(&f->state, &stray);
	check_destroyed(&f->state, &stray);
	check_opens(&f->state, stray.beside);
}

static void test_what_waits_is_done_later(void **state)
{
	struct vault_fixture *vault = *state;
	struct stray stray;

	stray_make(vault, &stray);
	faults_on_root(vault->vault);
	faults_arm(FAULT_EIO, 0, 1);
	assert_int_equal(assign(vault, stray.id, "alice"), -EIO);
	faults_disarm();
	assert_int_equal(erasure_retry(&vault->vault->eraser, NULL), 0);
	assert_true(is_moved(vault, &stray));
	check_former_place_is_gone(vault, &stray);
	check_opens(vault, stray.id);
}

enum medium { ON_ROOT, ON_DATABASE };

static void child(struct vault_fixture *vault, const struct stray *stray, enum medium medium,
		enum fault fault, unsigned at)
{
	if (medium == ON_DATABASE)
		faults_on_database(true);
	if (vault_fixture_reopen(vault, 0, NULL) < 0)
		_exit(1);
	if (medium == ON_ROOT)
		faults_on_root(vault->vault);
	faults_arm(fault, at, 1);
	_exit(assign(vault, stray->id, "alice") < 0 ? 2 : 0);
}

/* False when it was done before it came so far. */
static bool crash(struct vault_fixture *vault, const struct stray *stray, enum medium medium,
		enum fault fault, unsigned at)
{
	int status;

	vault_fixture_shut(vault);
	pid_t pid = fork();
	if (pid == 0)
		child(vault, stray, medium, fault, at);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != FAULT_EXIT_CODE)
		assert_int_equal(WEXITSTATUS(status), 0);
	return WEXITSTATUS(status) == FAULT_EXIT_CODE;
}

/* Whole or not at all after the next start; and either way a shred of alice ends what is hers. */
static unsigned sweep(enum medium medium, enum fault fault, unsigned step, unsigned *ret_moved)
{
	bool more = true;
	unsigned at = 0;

	*ret_moved = 0;
	for (; more; at += step) {
		struct vault_fixture vault;
		struct stray stray;
		vault_fixture_open(&vault);
		stray_make(&vault, &stray);
		more = crash(&vault, &stray, medium, fault, at);
		assert_int_equal(vault_fixture_reopen(&vault, 0, NULL), 0);
		bool moved = is_moved(&vault, &stray);
		*ret_moved += moved;
		assert_true(more || moved);
		check_opens(&vault, stray.id);
		check_tally(&vault, moved ? 2 : 1, moved ? 1 : 2);
		if (moved)
			check_former_place_is_gone(&vault, &stray);
		shred_alice(&vault, &stray);
		if (moved)
			check_destroyed(&vault, &stray);
		else
			check_opens(&vault, stray.id);
		check_opens(&vault, stray.beside);
		vault_fixture_close(&vault);
	}
	return at / step;
}

static const enum fault crashes[] = {FAULT_EXIT_BEFORE, FAULT_EXIT_TORN, FAULT_EXIT_AFTER};

static void test_a_crash_at_every_slot_operation(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(crashes); i++) {
		unsigned moved, points = sweep(ON_ROOT, crashes[i], 1, &moved);
		assert_int_equal(points, 5 + 1);
		assert_int_equal(moved, points); /* noted by then */
	}
}

static void test_a_crash_at_every_database_operation(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(crashes); i++) {
		unsigned moved, points = sweep(ON_DATABASE, crashes[i], 2, &moved);
		assert_true(points > 10);
		assert_in_range(moved, 2, points - 1); /* some come before it was noted */
	}
}

/* Negative control of the checks: a move that leaves the former place alone is found out. */
static void test_the_check_sees_a_former_place(void **state)
{
	struct vault_fixture *vault = *state;
	struct stray stray;
	uint8_t key[NODE_KEY_BYTES];

	stray_make(vault, &stray);
	faults_on_root(vault->vault);
	faults_arm(FAULT_EIO, 0, 1);
	assert_int_equal(assign(vault, stray.id, "alice"), -EIO);
	faults_disarm();
	/* As if it had not been noted in the same transaction. */
	assert_int_equal(db_begin(vault->vault->db), 0);
	assert_int_equal(db_run(vault->vault->db, "DELETE FROM former_place", ""), 0);
	assert_int_equal(db_commit(vault->vault->db), 0);
	shred_alice(vault, &stray);
	assert_int_equal(vault_fixture_state(vault, stray.id), RECORDING_DESTROYED);
	assert_int_equal(keytree_open(vault->vault->root.tree, &stray.former, key), 0);
	assert_memory_equal(key, stray.key, sizeof(key));
}

/* Its key is gone, by damage: the answer says so, also while a mirror is away. */
static void test_damaged_and_a_mirror_is_away(void **state)
{
	char place[96];
	struct vault_fixture *vault = *state;
	struct mirror_order order = {
			.name = "usb", .kind = MIRROR_FILE, .location = place, .reason = "test"};
	struct stray stray;

	stray_make(vault, &stray);
	vault_fixture_shell(vault, "mkdir -m 700 $D/usb");
	snprintf(place, sizeof(place), "%s/usb", vault->dir);
	assert_int_equal(mirror_add_new(&vault->vault->root, &order, NULL), 0);
	assert_int_equal(sqlite3_exec(db_handle(vault->vault->db),
					 "DELETE FROM node WHERE id = (SELECT max(id) - 1 FROM node"
					 " WHERE id >> 56 = 5)",
					 NULL, NULL, NULL),
			SQLITE_OK);
	assert_int_equal(assign(vault, stray.id, "alice"), -RE_CORRUPT);
	assert_non_null(strstr(vault->vault->notices.problem.text, "cannot be staged"));
	vault_fixture_shell(vault, "mv $D/usb $D/away");
	vault->vault->notices.problem.text[0] = '\0';
	assert_int_equal(assign(vault, stray.id, "alice"), -RE_CORRUPT);
	assert_non_null(strstr(vault->vault->notices.problem.text, "cannot be staged"));
	assert_int_equal(vault_fixture_state(vault, stray.id), RECORDING_QUARANTINED);
	assert_int_equal(assign(vault, stray.beside, "alice"), -RE_AWAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_assign),
			WITH_VAULT(test_refusals),
			WITH_VAULT(test_shred_in_quarantine),
			IN_VAULT(test_a_shred_of_the_account_destroys_it),
			IN_VAULT(test_it_expires_with_its_account),
			WITH_VAULT(test_a_shred_while_the_former_place_waits),
			IN_VAULT(test_what_waits_is_done_later),
			IN_VAULT(test_damaged_and_a_mirror_is_away),
			cmocka_unit_test(test_a_crash_at_every_slot_operation),
			cmocka_unit_test(test_a_crash_at_every_database_operation),
			IN_VAULT(test_the_check_sees_a_former_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
