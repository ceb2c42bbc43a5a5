/* Accounts that look alike, as the control interface tells them; and a shredded name for a new
 * account, on a real vault. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/keeper/vault/accounts.h"
#include "tests/unit/support/control_fixture.h"
#include "tests/unit/support/faults.h"

#define NFC_MUELLER "M\xc3\xbcller"
#define NFD_MUELLER "Mu\xcc\x88ller"

static json_t *named(const char *name, const char *reason)
{
	return json_pack("{s:s, s:s*}", "account", name, "reason", reason);
}

static void add_named(struct fixture *f, const char *name)
{
	_cleanup_transaction_ struct db_transaction transaction = {0};
	struct vault *vault = f->state.vault;
	uint8_t handle[CATALOG_HANDLE_BYTES];
	struct account_row row;

	accounts_new_handle(handle);
	assert_int_equal(db_transaction_begin(&transaction, vault->db), 0);
	assert_int_equal(accounts_add(vault->root.tree, f->state.now_us, handle, name, strlen(name),
					 &row),
			0);
	assert_int_equal(db_transaction_commit(&transaction), 0);
	catalog_account_clear(&row);
}

/* Only the account of this spelling looks alike. */
static void assert_one_alike(const json_t *object, const char *spelling, json_int_t recordings)
{
	const json_t *list = json_object_get(object, "look_alikes");
	const json_t *account = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(text_of(account, "spelling"), spelling);
	assert_string_equal(text_of(account, "state"), "open");
	assert_int_equal(int_of(account, "recordings"), recordings);
	assert_int_equal(strlen(text_of(account, "handle")), ACCOUNT_HANDLE_CHARS);
	assert_null(json_object_get(object, "look_alikes_left_off"));
}

static void assert_none_alike(const json_t *object)
{
	assert_int_equal(json_array_size(json_object_get(object, "look_alikes")), 0);
	assert_null(json_object_get(object, "spelling"));
}

static void test_look_alikes_are_named(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, NFC_MUELLER, "a", 10, 2, NULL);
	vault_fixture_seal(&f->state, NFD_MUELLER, "b", 10, 1, &id);
	vault_fixture_seal(&f->state, "Muller", "c", 10, 1, NULL);
	json_t *plan = ask(f, "PlanShred", named(NFD_MUELLER, NULL), "plan");
	assert_string_equal(text_of(plan, "spelling"), "Mu\\xcc\\x88ller");
	assert_one_alike(plan, "M\\xc3\\xbcller", 2);
	json_decref(plan);
	json_t *account = ask(f, "ShowAccount", named("M\\xc3\\xbcller", NULL), "account");
	assert_string_equal(text_of(account, "name"), NFC_MUELLER);
	assert_one_alike(account, "Mu\\xcc\\x88ller", 1);
	json_decref(account);
	json_t *recording = ask(f, "PlanShred", json_pack("{s:s}", "recording", id), "plan");
	assert_null(json_object_get(recording, "look_alikes"));
	json_decref(recording);
	/* The statement says what remains; afterwards nothing looks like what is gone. */
	json_t *result = ask(f, "Shred", named(NFD_MUELLER, "asked"), "result");
	assert_string_equal(text_of(result, "spelling"), "Mu\\xcc\\x88ller");
	assert_one_alike(result, "M\\xc3\\xbcller", 2);
	json_decref(result);
	account = ask(f, "ShowAccount", named(NFC_MUELLER, NULL), "account");
	assert_none_alike(account);
	json_decref(account);
	account = ask(f, "ShowAccount", named(NFD_MUELLER, NULL), "account");
	assert_string_equal(text_of(account, "state"), "deleted");
	assert_none_alike(account);
	json_decref(account);
}

static void test_an_unknown_name_may_mean_another(void **state)
{
	struct fixture *f = *state;

	vault_fixture_seal(&f->state, NFD_MUELLER, "b", 10, 1, NULL);
	json_t *reply = call(f, "ShowAccount", named(NFC_MUELLER, NULL));
	assert_string_equal(text_of(reply, "error"), INTERFACE "NotFound");
	assert_one_alike(json_object_get(reply, "parameters"), "Mu\\xcc\\x88ller", 1);
	json_decref(reply);
	reply = call(f, "Shred", named("else", "asked"));
	assert_string_equal(text_of(reply, "error"), INTERFACE "NotFound");
	assert_none_alike(json_object_get(reply, "parameters"));
	json_decref(reply);
}

/* A stranger may make as many as they like: the answer stays short, and says that it does. */
static void test_more_look_alikes_than_are_named(void **state)
{
	struct fixture *f = *state;
	char name[200];

	for (int i = 0; i < 105; i++) {
		snprintf(name, sizeof(name), "%*sacme", i, "");
		add_named(f, name);
	}
	json_t *plan = ask(f, "PlanShred", named("acme", NULL), "plan");
	assert_int_equal(json_array_size(json_object_get(plan, "look_alikes")), 100);
	assert_int_equal(int_of(plan, "look_alikes_left_off"), 4);
	json_decref(plan);
}

static void refuse_allow(struct fixture *f, const char *name, const char *why)
{
	refute(f, "AllowAccount", named(name, "new customer"), INTERFACE "Refused", "why", why);
}

static void shred_account(struct fixture *f, const char *name)
{
	json_decref(ask(f, "Shred", named(name, "asked"), "result"));
}

static void test_a_shredded_name_is_allowed_again(void **state)
{
	struct fixture *f = *state;
	id_text before, after;

	vault_fixture_seal(&f->state, "4711", "a", 10, 1, &before);
	shred_account(f, "4711");
	json_t *reply = call(f, "AllowAccount", named("4711", "new customer"));
	const json_t *parameters = json_object_get(reply, "parameters");
	const json_t *account = json_object_get(parameters, "account");
	const json_t *former = json_object_get(parameters, "former");
	assert_string_equal(text_of(account, "name"), "4711");
	assert_string_equal(text_of(account, "state"), "open");
	assert_string_equal(text_of(former, "state"), "deleted");
	assert_int_equal(int_of(former, "deleted_epoch"), 2);
	assert_null(json_object_get(former, "name"));
	assert_string_not_equal(text_of(account, "handle"), text_of(former, "handle"));
	assert_audit(f, "as new account", text_of(account, "handle"), "new customer");
	assert_int_equal(count_audit(f, "allow shredded account"), 1);
	/* What is sealed from now on is the new one's, and nothing of the former one is. */
	vault_fixture_seal(&f->state, "4711", "a", 20, 1, &after);
	json_t *shown = ask(f, "ShowRecording", json_pack("{s:s}", "id", after), "recording");
	assert_string_equal(text_of(shown, "account_handle"), text_of(account, "handle"));
	assert_string_equal(text_of(shown, "state"), "sealed");
	assert_null(json_object_get(shown, "follows"));
	json_decref(shown);
	refute(f, "OpenRecording", open_parameters(before, "play", "why"), INTERFACE "Gone", NULL,
			NULL);
	refute(f, "Shred", named(text_of(former, "handle"), "again"), INTERFACE "Gone", NULL, NULL);
	json_decref(reply);
	/* It may be shredded, and allowed, as often as it is given away. */
	shred_account(f, "4711");
	refute(f, "OpenRecording", open_parameters(after, "play", "why"), INTERFACE "Gone", NULL,
			NULL);
	json_decref(ask(f, "AllowAccount", named("4711", "the third"), "account"));
	vault_fixture_shut(&f->state);
	assert_int_equal(vault_fixture_reopen(&f->state, 0, NULL), 0);
}

static void test_what_is_not_allowed(void **state)
{
	struct fixture *f = *state;
	static const char unknown[] = "no account with exactly this name was shredded; a new name "
				      "needs no permission";

	vault_fixture_seal(&f->state, "alice", "a", 10, 1, NULL);
	vault_fixture_seal(&f->state, "bob", "b", 10, 1, NULL);
	refuse_allow(f, "alice", "the account was not shredded");
	refuse_allow(f, "nobody", unknown);
	refuse_allow(f, "", unknown);
	refuse_allow(f, "bad\\x", unknown);
	json_t *account = ask(f, "ShowAccount", named("bob", NULL), "account");
	shred_account(f, "bob");
	refuse_allow(f, text_of(account, "handle"),
			"give the name: after a shred nobody can tell it from the handle");
	refuse_allow(f, "Bob", unknown);
	json_decref(account);
	refute(f, "AllowAccount", named("bob", " "), INTERFACE "Invalid", "parameter", "reason");
	/* An order that waits is carried out first. */
	faults_on_root(f->state.vault);
	faults_arm(FAULT_EIO, 0, 1);
	refute(f, "Shred", named("alice", "asked"), INTERFACE "Pending", NULL, NULL);
	faults_disarm();
	refuse_allow(f, "alice",
			"the account is still being shredded; allow the name when that is done");
	assert_int_equal(count_audit(f, "as new account"), 0);
}

/* A recording that was begun for the former account is not the new one's by accident: its commit is
 * refused, and the intake begins it once more. */
static void test_a_recording_under_way(void **state)
{
	struct fixture *f = *state;
	struct ingest_job *job;
	int result;

	vault_fixture_seal(&f->state, "4711", "a", 10, 1, NULL);
	struct ingest_request request = vault_fixture_request(&f->state, "4711", "late", 10);
	job = vault_fixture_begin(&f->state, &request);
	shred_account(f, "4711");
	json_decref(ask(f, "AllowAccount", named("4711", "new customer"), "account"));
	vault_fixture_commit(f->state.vault, &job, 1, &result);
	assert_int_equal(result, -RE_REFUSED);
	json_t *account = ask(f, "ShowAccount", named("4711", NULL), "account");
	assert_int_equal(int_of(json_object_get(account, "recordings"), "sealed"), 0);
	json_decref(account);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_look_alikes_are_named),
			WITH_VAULT(test_an_unknown_name_may_mean_another),
			WITH_VAULT(test_more_look_alikes_than_are_named),
			WITH_VAULT(test_a_shredded_name_is_allowed_again),
			WITH_VAULT(test_what_is_not_allowed),
			WITH_VAULT(test_a_recording_under_way),
	};

	return cmocka_run_group_tests_name("names in the control interface", tests, NULL, NULL);
}
