/* The doctor: a healthy vault with healthy spools needs nothing; each thing that is not as it
 * should be is said, and only that; and a report of any shape is survived. */
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/keeper/control/doctor.h"
#include "daemon/keeper/erasure/retention.h"
#include "tests/unit/support/control_fixture.h"
#include "tests/unit/support/faults.h"

/* As an intake reports it when all is well. */
static json_t *healthy(void)
{
	return json_pack("[{s:s, s:s, s:i, s:i, s:{s:b, s:i, s:i, s:i, s:s, s:s, s:I, s:I, s:s, "
			 "s:s, s:i, s:b, s:i, s:i, s:i}}]",
			"name", "bridge", "path", "/var/spool/bridge", "waiting", 2, "refused", 0,
			"facts", "there", 1, "uid", 107, "gid", 110, "mode", 02770, "filesystem",
			"ext4", "leases", "honoured", "free_bytes", (json_int_t)1 << 30,
			"total_bytes", (json_int_t)4 << 30, "profile", "directory", "class",
			"default", "settle_us", 1000000, "unleased", 0, "watches", 12,
			"watches_max", 65536, "unwatched", 0);
}

/* Checks that want a change; the last one's own words go to the pointers, which are the checks'. */
static size_t changes(const json_t *checks, const char **ret_what, const char **ret_finding)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(checks); i++) {
		const json_t *check = json_array_get(checks, i);
		bool fine = json_is_true(json_object_get(check, "fine"));
		assert_non_null(text_of(check, "where"));
		assert_non_null(text_of(check, "finding"));
		/* What is to change says how; and nothing else does. */
		assert_int_equal(fine, text_of(check, "advice") == NULL);
		if (fine)
			continue;
		n++;
		*ret_what = text_of(check, "what");
		*ret_finding = text_of(check, "finding");
	}
	return n;
}

static void expect_one(struct vault_fixture *vault, json_t *spools, const char *wanted_what,
		const char *wanted_finding)
{
	json_t *checks = json_array();
	const char *what = "", *finding = "";

	doctor_spools(checks, vault->vault, spools);
	size_t n = changes(checks, &what, &finding);
	if (n != 1 || strcmp(what, wanted_what) != 0 || !strstr(finding, wanted_finding))
		fail_msg("%s: %zu changes, the last is %s: %s", wanted_what, n, what, finding);
	json_decref(checks);
	json_decref(spools);
}

static json_t *facts_of(json_t *spools)
{
	return json_object_get(json_array_get(spools, 0), "facts");
}

/* The healthy report with one fact changed; steals the value. */
static json_t *but(const char *key, json_t *value)
{
	json_t *spools = healthy();

	assert_int_equal(json_object_set_new(facts_of(spools), key, value), 0);
	return spools;
}

static void test_healthy_spools(void **state)
{
	struct vault_fixture *vault = *state;
	json_t *spools = healthy(), *checks = json_array();
	const char *what, *finding;

	doctor_spools(checks, vault->vault, spools);
	assert_int_equal(changes(checks, &what, &finding), 0);
	assert_true(json_array_size(checks) >= 8);
	json_decref(checks);
	json_decref(spools);
}

static void test_each_fact_of_a_spool(void **state)
{
	struct vault_fixture *v = *state;
	json_t *spools;

	expect_one(v, but("mode", json_integer(0777)), "owner", "0777");
	expect_one(v, but("mode", json_integer(01777)), "owner", "writable by all");
	expect_one(v, but("no_access", json_string("Permission denied")), "access", "Permission");
	expect_one(v, but("leases", json_string("unsound")), "filesystem", "ext4");
	expect_one(v, but("leases", json_string("not allowed")), "filesystem", "may not take");
	expect_one(v, but("unleased", json_true()), "filesystem", "may not take");
	expect_one(v, but("unwatched", json_integer(3)), "watches", "3 directories");
	expect_one(v, but("watches", json_integer(65000)), "watches", "65000 of 65536");
	spools = but("watches_max", json_integer(0)); /* hidden: no reason to worry */
	json_object_set_new(json_array_get(spools, 0), "refused", json_integer(1));
	expect_one(v, spools, "files", "1 cannot be sealed");
	expect_one(v, but("free_bytes", json_integer(1 << 20)), "free space", "1 MiB");
	expect_one(v, but("class", json_string("gone")), "class", "gone");
	expect_one(v, but("there", json_false()), "folder", "/var/spool/bridge");
	expect_one(v, json_array(), "spools", "none");
	spools = healthy();
	json_object_set_new(json_array_get(spools, 0), "refused", json_integer(5));
	expect_one(v, spools, "files", "5 cannot be sealed");
	spools = healthy();
	json_object_set_new(json_array_get(spools, 0), "last_error", json_string("no room"));
	expect_one(v, spools, "sealing", "no room");
	spools = healthy();
	json_object_del(json_array_get(spools, 0), "facts");
	expect_one(v, spools, "report", "reports nothing");
	expect_one(v, NULL, "connection", "not connected");
}

/* Every fact missing, and of every type: never a crash, never a text that a terminal acts on. */
static void test_hostile_reports(void **state)
{
	struct vault_fixture *vault = *state;
	json_t *values = json_pack("[n, b, i, I, f, s, s, [], {}]", 1, -1, (json_int_t)INT64_MAX,
			1e300, "\033[2J\n", "");
	json_t *healthy_one = healthy(), *value;
	const char *key;
	size_t i;

	json_object_foreach(facts_of(healthy_one), key, value)
	{
		json_t *odd;
		json_array_foreach(values, i, odd)
		{
			json_t *spools = but(key, json_incref(odd)), *checks = json_array();
			json_object_set(json_array_get(spools, 0), "name", odd);
			doctor_spools(checks, vault->vault, spools);
			char *text = json_dumps(checks, JSON_ENCODE_ANY);
			assert_null(strstr(text, "\\u001b"));
			free(text);
			json_decref(checks);
			json_decref(spools);
		}
	}
	json_array_foreach(values, i, value)
	{
		json_t *spools = json_pack("[O]", value), *checks = json_array();
		doctor_spools(checks, vault->vault, spools);
		assert_true(json_array_size(checks) > 1);
		json_decref(checks);
		json_decref(spools);
	}
	json_decref(values);
	json_decref(healthy_one);
}

/* Of the keeper's checks, how many want a change, the last one's words in `told`. */
static char told[512];
static size_t keeper_changes(struct vault_fixture *vault, const char *what)
{
	json_t *checks = json_array();
	size_t n = 0;
	char host[96];

	snprintf(host, sizeof(host), "%s/host", vault->dir);
	doctor_keeper(checks, vault->vault, host);
	for (size_t i = 0; i < json_array_size(checks); i++) {
		const json_t *check = json_array_get(checks, i);
		if (json_is_true(json_object_get(check, "fine")))
			continue;
		/* The filesystem that tests run on is none of theirs. */
		if (strcmp(text_of(check, "what"), "keys") == 0 &&
				strstr(text_of(check, "finding"), "the keeper's state is on"))
			continue;
		if (what)
			assert_string_equal(text_of(check, "what"), what);
		snprintf(told, sizeof(told), "%s", text_of(check, "finding"));
		n++;
	}
	json_decref(checks);
	return n;
}

static bool keeper_says(struct vault_fixture *vault, const char *words)
{
	json_t *checks = json_array();
	char host[96];

	snprintf(host, sizeof(host), "%s/host", vault->dir);
	doctor_keeper(checks, vault->vault, host);
	char *text = json_dumps(checks, 0);
	bool says = strstr(text, words);
	free(text);
	json_decref(checks);
	return says;
}

static void expect_keeper(struct vault_fixture *vault, const char *what, const char *finding)
{
	assert_int_equal(keeper_changes(vault, what), 1);
	if (!strstr(told, finding))
		fail_msg("%s: %s", what, told);
}

static void test_keeper(void **state)
{
	struct vault_fixture *vault = *state;
	vault_fixture_id id;

	vault_fixture_shell(vault, "mkdir -p $D/host/proc");
	vault_fixture_seal(vault, "alice", "alice/a.wav", 10, 1, &id);
	assert_int_equal(keeper_changes(vault, NULL), 0);
	if (!keeper_says(vault, "the keeper's state is on")) {
		assert_true(keeper_says(vault, "swap cannot be seen"));
		vault_fixture_shell(vault, "echo Filename Type >$D/host/proc/swaps");
		assert_true(keeper_says(vault, "nor swap"));
		vault_fixture_shell(vault, "rm $D/host/proc/swaps");
	}
	vault->wrong_us = -3600 * US_PER_S;
	vault->unsynchronised = true;
	vault_fixture_look(vault);
	expect_keeper(vault, "clock", "3600 s behind");
	vault->wrong_us = 400 * US_PER_DAY;
	expect_keeper(vault, "clock", "400 days ahead");
	vault->wrong_us = 0;
	assert_int_equal(keeper_changes(vault, NULL), 0);
	vault->unsynchronised = false;
	vault_fixture_look(vault);
	vault->vault->root.stuck = true;
	expect_keeper(vault, "erasures", "only a restart");
	vault->vault->root.stuck = false;
	vault->vault->root.witness_owed = true;
	expect_keeper(vault, "epoch witness", "epoch 1");
	vault->vault->root.witness_owed = false;
	vault_fixture_shell(vault,
			"printf 'Filename Type Size\\n/dev/sda2 partition 100\\n' >$D/host/proc/swaps");
	expect_keeper(vault, "keys", "swap is on");
	vault_fixture_shell(vault, "rm $D/host/proc/swaps");
	faults_on_root(vault->vault);
	faults_arm(FAULT_EIO, 0, FAULTS_ALWAYS);
	expect_keeper(vault, "root", "cannot be read");
	faults_arm(FAULT_LIE, 0, FAULTS_ALWAYS);
	expect_keeper(vault, "root", "cannot be read");
	faults_disarm();
	faults_arm(FAULT_EIO, 0, 1);
	assert_true(vault_fixture_erase(vault, ERASE_RECORDING, id) < 0);
	faults_disarm();
	expect_keeper(vault, "erasures", "1 recordings are to be destroyed");
	assert_int_equal(keeper_changes(vault, "erasures"), 1); /* looking changes nothing */
	vault_fixture_shut(vault);
	assert_int_equal(vault_fixture_reopen(vault, 0, NULL), 0);
	assert_int_equal(keeper_changes(vault, NULL), 0);
	vault_fixture_seal(vault, NULL, "stray.wav", 10, 2, NULL);
	expect_keeper(vault, "quarantine", "2 recordings belong to no account");
}

/* Without an intake, and with roles whose groups are not there. */
static void test_by_the_interface(void **state)
{
	struct fixture *f = *state;
	json_t *checks = ask(f, "Doctor", NULL, "checks");
	const char *what = NULL, *finding = NULL;
	bool told_of_intake = false, told_of_roles = false;

	assert_true(changes(checks, &what, &finding) >= 1);
	json_decref(checks);
	f->state.config->embedded = false;
	free(f->state.config->officers);
	f->state.config->officers = strdup("recseal-no-such-group");
	restart_control(f);
	checks = ask(f, "Doctor", NULL, "checks");
	for (size_t i = 0; i < json_array_size(checks); i++) {
		const json_t *check = json_array_get(checks, i);
		if (json_is_true(json_object_get(check, "fine")))
			continue;
		told_of_intake |= strcmp(text_of(check, "what"), "connection") == 0;
		told_of_roles |= strstr(text_of(check, "finding"), "recseal-no-such-group") != NULL;
	}
	assert_true(told_of_intake && told_of_roles);
	json_decref(checks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			IN_VAULT(test_healthy_spools),
			IN_VAULT(test_each_fact_of_a_spool),
			IN_VAULT(test_hostile_reports),
			IN_VAULT(test_keeper),
			WITH_VAULT(test_by_the_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
