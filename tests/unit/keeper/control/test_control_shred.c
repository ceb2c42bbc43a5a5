/* Shred, and who may call what, on a real vault. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/keeper/erasure/erasure.h"
#include "tests/unit/support/control_fixture.h"
#include "tests/unit/support/faults.h"

#define SOMEBODY 65534 /* neither root nor the keeper */

static json_t *shred_parameters(const char *key, const char *what, const char *reason)
{
	return json_pack("{s:s, s:s*}", key, what, "reason", reason);
}

static void test_shred_a_recording(void **state)
{
	struct fixture *f = *state;
	id_text ids[2];

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 2, ids);
	json_t *plan = ask(f, "PlanShred", shred_parameters("recording", ids[0], NULL), "plan");
	assert_string_equal(text_of(plan, "account"), "alice");
	assert_string_equal(text_of(plan, "recording"), ids[0]);
	assert_int_equal(int_of(plan, "recordings"), 1);
	assert_int_equal(int_of(plan, "plaintext_bytes"), 10);
	json_decref(plan);
	json_t *result = ask(
			f, "Shred", shred_parameters("recording", ids[0], "card number"), "result");
	assert_int_equal(int_of(result, "recordings"), 1);
	assert_int_equal(int_of(result, "plaintext_bytes"), 10);
	assert_int_equal(int_of(result, "epoch_before"), 1);
	assert_int_equal(int_of(result, "epoch_after"), 2);
	assert_non_null(text_of(result, "destroyed_at"));
	assert_non_null(strstr(text_of(result, "assurance_sentence"), "epoch 2"));
	json_decref(result);
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", ids[0]), "recording");
	assert_string_equal(text_of(r, "state"), "destroyed");
	assert_int_equal(int_of(r, "destroyed_epoch"), 2);
	assert_string_equal(text_of(r, "account"), "alice");
	assert_null(json_object_get(r, "name"));
	assert_null(json_object_get(r, "path"));
	assert_null(json_object_get(r, "spool"));
	json_decref(r);
	refute(f, "OpenRecording", open_parameters(ids[0], "play", "why"), INTERFACE "Gone", NULL,
			NULL);
	refute(f, "Shred", shred_parameters("recording", ids[0], "again"), INTERFACE "Gone", NULL,
			NULL);
	json_decref(call(f, "OpenRecording", open_parameters(ids[1], "play", "why")));
	assert_audit(f, "play", ids[1], "why");
}

/* SQLite's syncs come by here. */
static bool syncs_fail;

int fdatasync(int fd)
{
	if (!syncs_fail)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

int fsync(int fd)
{
	return fdatasync(fd);
}

/* A commit whose sync fails may be there after all: nobody is told that the order failed, and nothing
 * else is begun until the keeper has restarted. So it is with every order that is written. */
static void test_an_order_whose_fate_is_not_known(void **state)
{
	static const char *const methods[] = {"Shred", "OpenRecording", "AddRootMirror"};

	for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
		void *own = NULL;
		assert_int_equal(control_fixture_setup(&own), 0);
		struct fixture *f = own;
		id_text id;
		vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
		json_t *parameters[] = {shred_parameters("recording", id, "asked"),
				open_parameters(id, "play", "why"),
				json_pack("{s:s, s:s, s:s, s:s}", "name", "usb", "kind", "file",
						"place", "/var/tmp", "reason", "why")};
		syncs_fail = true;
		refute(f, methods[i], json_incref(parameters[i]), INTERFACE "NotKnown", NULL, NULL);
		syncs_fail = false;
		assert_true(root_is_stuck(&f->state.vault->root));
		refute(f, methods[i], json_incref(parameters[i]), INTERFACE "Failed", NULL, NULL);
		for (size_t j = 0; j < ELEMENTSOF(parameters); j++)
			json_decref(parameters[j]);
		assert_int_equal(control_fixture_teardown(&own), 0);
	}
}

/* "Failed" would be a lie: it is carried out as soon as the root can be written. */
static void test_a_shred_that_has_to_wait(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	faults_on_root(f->state.vault);
	faults_arm(FAULT_EIO, 0, 1);
	refute(f, "Shred", shred_parameters("recording", id, "asked"), INTERFACE "Pending", NULL,
			NULL);
	faults_disarm();
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_string_equal(text_of(r, "state"), "pending");
	json_decref(r);
	assert_int_equal(erasure_retry(&f->state.vault->eraser, NULL), 0);
	refute(f, "Shred", shred_parameters("recording", id, "asked"), INTERFACE "Gone", NULL,
			NULL);
}

static void test_a_shred_beside_damage(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	sql(f, "UPDATE node SET sealed = zeroblob(72) WHERE id = (1 << 56) + ?", 200);
	json_t *reply = call(f, "Shred", shred_parameters("recording", id, "asked"));
	assert_string_equal(text_of(reply, "error"), INTERFACE "Failed");
	const char *why = text_of(json_object_get(reply, "parameters"), "why");
	assert_non_null(strstr(why, "first level 200"));
	assert_non_null(strstr(why, "restored"));
	json_decref(reply);
}

static void test_shred_an_account(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	vault_fixture_seal(&f->state, "bob", "bob/a.wav", 10, 1, NULL);
	json_t *plan = ask(f, "PlanShred", shred_parameters("account", "alice", NULL), "plan");
	assert_null(json_object_get(plan, "recording"));
	assert_int_equal(int_of(plan, "recordings"), 1);
	assert_non_null(text_of(plan, "oldest_at"));
	json_decref(plan);
	json_t *result = ask(f, "Shred", shred_parameters("account", "alice", "GDPR 17"), "result");
	assert_int_equal(int_of(result, "recordings"), 1);
	json_decref(result);
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", id), "recording");
	assert_null(json_object_get(r, "account"));
	json_t *account = ask(f, "ShowAccount",
			json_pack("{s:s}", "account", text_of(r, "account_handle")), "account");
	assert_string_equal(text_of(account, "state"), "deleted");
	assert_null(json_object_get(account, "name"));
	assert_int_equal(int_of(account, "deleted_epoch"), 2);
	assert_int_equal(int_of(account, "plaintext_bytes"), 0);
	json_decref(account);
	json_decref(r);
	refute(f, "PlanShred", shred_parameters("account", "alice", NULL), INTERFACE "Gone", "what",
			"account alice");
	refute(f, "Shred", shred_parameters("account", "alice", "again"), INTERFACE "Gone", NULL,
			NULL);
}

static void test_gone_names_the_epoch(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	json_decref(ask(f, "Shred", shred_parameters("recording", id, "why"), "result"));
	json_t *reply = call(f, "OpenRecording", open_parameters(id, "play", "why"));
	assert_string_equal(text_of(reply, "error"), INTERFACE "Gone");
	assert_int_equal(int_of(json_object_get(reply, "parameters"), "epoch"), 2);
	json_decref(reply);
}

static void test_shred_refusals(void **state)
{
	struct fixture *f = *state;
	id_text id, other;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	refute(f, "Shred", shred_parameters("account", "(quarantine)", "why"), INTERFACE "NotFound",
			NULL, NULL);
	vault_fixture_seal(&f->state, NULL, "b.wav", 10, 1, &other);
	json_t *r = ask(f, "ShowRecording", json_pack("{s:s}", "id", other), "recording");
	refute(f, "Shred", shred_parameters("account", text_of(r, "account_handle"), "why"),
			INTERFACE "Refused", NULL, NULL);
	assert_int_equal(count_audit(f, "refused"), 1);
	json_decref(r);
	refute(f, "Shred", json_pack("{s:s}", "reason", "why"), INTERFACE "Invalid", NULL, NULL);
	refute(f, "PlanShred", json_pack("{s:s, s:s}", "account", "alice", "recording", id),
			INTERFACE "Invalid", NULL, NULL);
	refute(f, "Shred", shred_parameters("account", "alice", NULL),
			"org.varlink.service.InvalidParameter", "parameter", "reason");
	refute(f, "Shred", shred_parameters("account", "nobody", "why"), INTERFACE "NotFound",
			"what", "account nobody");
	sql(f, "UPDATE recording SET state = ? WHERE state = 1", RECORDING_HELD);
	sql(f, "UPDATE tally SET state = ? WHERE state = 1", RECORDING_HELD);
	refute(f, "Shred", shred_parameters("account", "alice", "why"), INTERFACE "Refused", NULL,
			NULL);
	refute(f, "Shred", shred_parameters("recording", id, "why"), INTERFACE "Refused", NULL,
			NULL);
	assert_audit(f, "refused", id, "Shred: a legal hold is on the recording");
	assert_int_equal(count_audit(f, "destroyed"), 0);
}

/* A user who is neither root nor the keeper. Skips where the tests may not become one. */
static void become_somebody(struct fixture *f)
{
	f->control->keeper_uid = SOMEBODY - 1;
	if (geteuid() == 0 && (setegid(SOMEBODY) < 0 || seteuid(SOMEBODY) < 0))
		skip();
}

static void become_oneself(void)
{
	if (getuid() == 0) {
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(setegid(0), 0);
	}
}

/* Connects again as somebody with these roles. */
static void connect_with(struct fixture *f, unsigned roles)
{
	client_close(&f->client);
	become_somebody(f);
	for (size_t i = 0; i < CONTROL_ROLES; i++) {
		f->control->groups[i].exists = f->control->groups[i].role & roles;
		f->control->groups[i].gid = getegid();
	}
	client_connect(&f->client, &f->loop, f->path);
	become_oneself();
}

static bool is_allowed(struct fixture *f, const char *method, json_t *parameters)
{
	json_t *reply = call(f, method, parameters);
	const char *error = text_of(reply, "error");
	bool allowed = !error || strcmp(error, INTERFACE "Refused") != 0;

	json_decref(reply);
	return allowed;
}

static void test_roles(void **state)
{
	static const struct {
		const char *method;
		unsigned roles;
	} expected[] = {
			{"Status", ROLE_OPERATOR | ROLE_VIEWER | ROLE_OFFICER},
			{"ListRecordings", ROLE_OPERATOR | ROLE_VIEWER | ROLE_OFFICER},
			{"ShowRecording", ROLE_OPERATOR | ROLE_VIEWER | ROLE_OFFICER},
			{"ListAccounts", ROLE_OPERATOR | ROLE_VIEWER | ROLE_OFFICER},
			{"ShowAccount", ROLE_OPERATOR | ROLE_VIEWER | ROLE_OFFICER},
			{"OpenRecording", ROLE_VIEWER | ROLE_OFFICER},
			{"UnwrapFileKey", ROLE_VIEWER | ROLE_OFFICER},
			{"PlanShred", ROLE_OPERATOR | ROLE_OFFICER},
			{"Shred", ROLE_OFFICER},
			{"AssignRecording", ROLE_OFFICER},
			{"ConfirmClock", ROLE_OFFICER},
			{"AcceptSpool", ROLE_OPERATOR | ROLE_OFFICER},
			{"Doctor", ROLE_OPERATOR | ROLE_OFFICER},
	};
	static const unsigned roles[] = {0, ROLE_OPERATOR, ROLE_VIEWER, ROLE_OFFICER};
	struct fixture *f = *state;

	for (size_t r = 0; r < ELEMENTSOF(roles); r++) {
		connect_with(f, roles[r]);
		for (size_t m = 0; m < ELEMENTSOF(expected); m++)
			assert_int_equal(is_allowed(f, expected[m].method, NULL),
					(expected[m].roles & roles[r]) != 0);
	}
	json_decref(client_call(&f->client, "org.varlink.service.GetInfo", NULL));
}

static void test_somebody_is_refused_and_recorded(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	connect_with(f, ROLE_VIEWER);
	refute(f, "Shred", shred_parameters("recording", id, "spite"), INTERFACE "Refused", "why",
			"this needs membership of group recseal-officer");
	assert_audit(f, "refused", id, "Shred: this needs membership of group recseal-officer");
	connect_with(f, 0);
	refute(f, "OpenRecording", json_pack("{s:s}", "id", "\n' OR 1"), INTERFACE "Refused", NULL,
			NULL);
	assert_audit(f, "refused", "-",
			"OpenRecording: this needs membership of group recseal-viewer or "
			"recseal-officer");
	assert_int_equal(f->client.fds.count, 0);
	refute(f, "ShowRecording", json_pack("{s:s}", "id", id), INTERFACE "Refused", NULL, NULL);
	assert_int_equal(count_audit(f, "refused"), 2);
}

static void test_viewer_cannot_verify_around_a_closed_account(void **state)
{
	struct fixture *f = *state;
	id_text id;

	vault_fixture_seal(&f->state, "alice", "alice/a.wav", 10, 1, &id);
	sql(f, "UPDATE account SET state = ? WHERE state = 1", ACCOUNT_RESTRICTED);
	connect_with(f, ROLE_VIEWER);
	refute(f, "OpenRecording", open_parameters(id, "verify", "why"), INTERFACE "Refused", NULL,
			NULL);
	assert_int_equal(f->client.fds.count, 0);
}

/* Whoever collects refusals must not fill the disk; that some were left out is on record. */
static void test_refusals_are_recorded_in_moderation(void **state)
{
	struct fixture *f = *state;

	connect_with(f, 0);
	for (int i = 0; i < 100; i++)
		refute(f, "Shred", NULL, INTERFACE "Refused", NULL, NULL);
	assert_int_equal(count_audit(f, "refused"), 30);
	f->state.now_us += 61 * US_PER_S;
	refute(f, "Shred", NULL, INTERFACE "Refused", NULL, NULL);
	assert_audit(f, "refused", "-",
			"Shred: this needs membership of group recseal-officer; 70 refusals before it "
			"were too many to record");
}

static void test_groups_come_from_the_configuration(void **state)
{
	struct fixture *f = *state;
	const struct group *group = getgrgid(getegid());

	if (!group)
		skip();
	free(f->state.config->viewers);
	f->state.config->viewers = strdup(group->gr_name);
	free(f->state.config->officers);
	f->state.config->officers = strdup("recseal-no-such-group");
	restart_control(f);
	for (size_t i = 0; i < CONTROL_ROLES; i++) {
		const struct control_group *g = &f->control->groups[i];
		if (g->role == ROLE_VIEWER)
			assert_true(g->exists && g->gid == getegid());
		if (g->role == ROLE_OFFICER)
			assert_false(g->exists);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WITH_VAULT(test_shred_a_recording),
			WITH_VAULT(test_a_shred_that_has_to_wait),
			cmocka_unit_test(test_an_order_whose_fate_is_not_known),
			WITH_VAULT(test_a_shred_beside_damage),
			WITH_VAULT(test_shred_an_account),
			WITH_VAULT(test_gone_names_the_epoch),
			WITH_VAULT(test_shred_refusals),
			WITH_VAULT(test_roles),
			WITH_VAULT(test_somebody_is_refused_and_recorded),
			WITH_VAULT(test_viewer_cannot_verify_around_a_closed_account),
			WITH_VAULT(test_refusals_are_recorded_in_moderation),
			WITH_VAULT(test_groups_come_from_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
