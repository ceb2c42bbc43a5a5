/* recsealctl as a program, against a keeper that answers by script: what it prints, what it sends,
 * and its exit codes. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/exit.h"
#include "tests/unit/support/cli_assert.h"
#include "tests/unit/support/cli_fixture.h"

#define PROGRAM "./recsealctl"

#define RECORDING_1                                                                                 \
	"{\"id\":\"01kaw5q7v3c2m9x0r8t4e6h1zn\",\"account\":\"Müller\",\"account_handle\":\"aa\"," \
	"\"state\":\"sealed\",\"condition\":\"ok\",\"class\":\"default\",\"recorded_at\":"          \
	"\"2026-11-23T09:01:20Z\",\"sealed_at\":\"2026-11-23T09:02:00Z\",\"expires_at\":"           \
	"\"2026-12-23T09:01:20Z\",\"duration_s\":62.5,\"format\":\"wav/"                            \
	"pcm_s16le\",\"channels\":1,"                                                               \
	"\"sample_rate\":16000,\"plaintext_bytes\":2000044,\"sealed_bytes\":2001000,\"spool\":"     \
	"\"default\",\"name\":\"a.wav\",\"path\":\"acme/a.wav\",\"object\":\"01/kaw\"}"
#define RECORDING_2                                                                                \
	"{\"id\":\"01kaw5q7v3c2m9x0r8t4e6h1zp\",\"account_handle\":\"f00d\",\"state\":"            \
	"\"destroyed\",\"condition\":\"ok\",\"class\":\"default\",\"recorded_at\":"                \
	"\"2026-11-23T10:00:00Z\",\"sealed_at\":\"2026-11-23T10:00:01Z\",\"expires_at\":"          \
	"\"2026-12-23T10:00:00Z\",\"destroyed_at\":\"2026-11-24T00:00:00Z\",\"destroyed_epoch\":"  \
	"7,"                                                                                       \
	"\"plaintext_bytes\":12,\"sealed_bytes\":28,\"object\":\"01/kax\"}"

static int set_up(void **state)
{
	*state = harness_new();
	return 0;
}

static int tear_down(void **state)
{
	*state = harness_free(*state);
	return 0;
}

static void keeper(void **state, const char *method, const char *replies)
{
	const struct scripted script[] = {{.method = method, .replies = replies}};

	harness_keeper(*state, script, ELEMENTSOF(script));
}

#define run(...) harness_run(*state, &o, PROGRAM, __VA_ARGS__, NULL)

/* ---- the command line ---- */

static void test_help_and_version(void **state)
{
	static const char *const commands[] = {
			"status", "doctor", "list", "show", "play", "verify", "quarantine assign"};
	struct outcome o;

	run("--help");
	assert_int_equal(o.status, CLI_DONE);
	for (size_t i = 0; i < ELEMENTSOF(commands); i++)
		assert_contains(o.out, commands[i]);
	assert_contains(o.out, "shred recording");
	assert_lacks(o.out, "export"); /* not in this version */
	outcome_free(&o);
	run("--version");
	assert_int_equal(o.status, CLI_DONE);
	assert_string_equal(o.out, "recsealctl " VERSION "\n");
	outcome_free(&o);
}

static void test_every_command_has_help_with_examples(void **state)
{
	static const char *const commands[][2] = {{"status", NULL}, {"list", NULL}, {"show", NULL},
			{"play", NULL}, {"verify", NULL}, {"account", "list"}, {"account", "show"},
			{"shred", "account"}, {"shred", "recording"}, {"doctor", NULL},
			{"quarantine", "assign"}};

	for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
		struct outcome o;
		if (commands[i][1])
			run(commands[i][0], "--help", commands[i][1]);
		else
			run(commands[i][0], "--help");
		assert_int_equal(o.status, CLI_DONE);
		assert_contains(o.out, "Usage: recsealctl ");
		assert_contains(o.out, "\nExamples:\n  recsealctl ");
		assert_contains(o.out, "--socket PATH");
		outcome_free(&o);
	}
}

static void check_usage(struct outcome *o, const char *text)
{
	assert_int_equal(o->status, CLI_USAGE);
	assert_contains(o->err, text);
	assert_string_equal(o->out, "");
	outcome_free(o);
}

#define assert_usage(text, ...) (run(__VA_ARGS__), check_usage(&o, text))

/* No keeper is there: usage errors come before any connection. */
static void test_usage_errors(void **state)
{
	struct outcome o;

	harness_run(*state, &o, PROGRAM, NULL);
	assert_int_equal(o.status, CLI_USAGE);
	assert_contains(o.err, "Usage: recsealctl COMMAND");
	outcome_free(&o);
	assert_usage("unknown command \"frobnicate\"; see recsealctl --help", "frobnicate");
	assert_usage("recsealctl account show ACCOUNT", "account");
	assert_usage("recsealctl shred recording RECORDING", "shred", "everything");
	assert_usage("unknown option \"--frobnicate\"; see recsealctl --help", "list",
			"--frobnicate");
	assert_usage("status does not take --reason", "status", "--reason", "x");
	assert_usage("missing argument", "show");
	assert_usage("unexpected argument \"b\"; usage: recsealctl show RECORDING", "show", "a",
			"b");
	assert_usage("unknown state \"open\"; use one of: sealed", "list", "--state", "open");
	assert_usage("--until: \"soon\" is not a time", "list", "--until", "soon");
	assert_usage("not valid UTF-8", "list", "--account", "caf\xe9");
	assert_usage("not valid UTF-8", "show", "\xff");
	assert_usage("play needs --reason", "play", SAMPLE_ID, "-o", "x");
	assert_usage("play needs --reason", "play", SAMPLE_ID, "--reason", "");
	assert_usage("--json needs -o FILE", "play", SAMPLE_ID, "--json", "--reason", "x");
	assert_usage("either recordings or --all", "verify");
	assert_usage("either recordings or --all", "verify", "--all", SAMPLE_ID);
	assert_usage("shred account needs --reason", "shred", "account", "acme", "--yes");
	assert_usage("this is not a terminal", "shred", "account", "acme", "--reason", "x");
}

/* ---- reaching the keeper ---- */

static void test_no_keeper(void **state)
{
	struct outcome o;

	run("status");
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "cannot connect to the keeper at /tmp/recseal-cli-");
	assert_contains(o.err, "No such file or directory; is recseal-keeper running?");
	outcome_free(&o);
	run("status", "--socket", "/nowhere/at/all");
	assert_contains(o.err, "the keeper at /nowhere/at/all: ");
	outcome_free(&o);
}

static void test_keeper_that_hangs_up(void **state)
{
	struct outcome o;

	keeper(state, "Status", NULL);
	run("status");
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "closed the connection before it answered");
	outcome_free(&o);
}

static void test_errors_become_exit_codes(void **state)
{
	static const struct {
		const char *reply;
		enum cli_exit status;
		const char *text;
	} cases[] = {
			{"{\"error\":\"org.recseal.control.NotFound\",\"parameters\":{\"what\":\"x\"}}",
					CLI_NOT_FOUND, "x: not in this vault"},
			{"{\"error\":\"org.recseal.control.Gone\",\"parameters\":{\"what\":\"x\",\"epoch\":"
			 "7}}",
					CLI_GONE,
					"x: was destroyed and cannot be recovered (epoch 7)"},
			{"{\"error\":\"org.recseal.control.Gone\"}", CLI_GONE, "destroyed"},
			{"{\"error\":\"org.recseal.control.Refused\",\"parameters\":{\"why\":\"on "
			 "hold\\u001b\"}}",
					CLI_REFUSED, "refused: on hold\\x1b"},
			{"{\"error\":\"org.varlink.service.PermissionDenied\"}", CLI_REFUSED,
					"permission"},
			{"{\"error\":\"org.recseal.control.Invalid\",\"parameters\":{\"parameter\":\"id\","
			 "\"why\":\"short\"}}",
					CLI_USAGE, "id: short"},
			{"{\"error\":\"org.recseal.control.Failed\",\"parameters\":{\"why\":\"disk\"}}",
					CLI_ERROR, "the keeper failed: disk"},
			{"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
			 "\"ShowRecording\"}}",
					CLI_ERROR, "does not know: ShowRecording"},
			{"{\"error\":\"org.example.Odd\"}", CLI_ERROR,
					"unknown error: org.example.Odd"},
			{"{\"parameters\":{\"recording\":7}}", CLI_ERROR,
					"not what the interface promises"},
			{"{\"parameters\":7}", CLI_ERROR, "peer broke the protocol"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct outcome o;
		keeper(state, "ShowRecording", cases[i].reply);
		run("show", SAMPLE_ID, "--json");
		assert_int_equal(o.status, cases[i].status);
		assert_contains(o.err, cases[i].text);
		assert_string_equal(o.out, "");
		outcome_free(&o);
	}
}

/* ---- status, list, show, account ---- */

#define STATUS                                                                                     \
	"{\"parameters\":{\"status\":{\"version\":\"0.1.0\",\"vault\":\"v1\",\"assurance\":"       \
	"\"file\",\"assurance_sentence\":\"recovery is possible\",\"epoch\":42,\"recordings\":{"   \
	"\"sealed\":12,\"held\":0,\"destroyed\":3},\"accounts\":{\"open\":2},\"intake_"            \
	"connected\":"                                                                             \
	"false,\"spool\":{\"oldest_unsealed_s\":7200.5,\"waiting\":5,\"refused\":1},\"spools\":[{" \
	"\"name\":\"fs\",\"path\":\"/var/spool/fs\",\"looked_s\":1.2,\"waiting\":5,\"refused\":1," \
	"\"oldest_unsealed_s\":7200.5,\"last_error\":null}],\"exposure_s\":{\"p50\":0.4,\"p99\":"  \
	"null},\"object_free_bytes\":10737418240,\"warnings\":[\"swap is on\"],\"last_error\":"    \
	"\"disk full\"}}}"

static void test_status(void **state)
{
	struct outcome o;

	keeper(state, "Status", STATUS);
	run("status");
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "assurance       file: recovery is possible\n");
	assert_contains(o.out, "epoch           42\n");
	assert_contains(o.out, "recordings      12 sealed, 3 destroyed\n");
	assert_contains(o.out, "NOT CONNECTED");
	assert_contains(o.out, "5 to be sealed (oldest 2.0 h), 1 refused");
	assert_contains(o.out, "p50 0.4 s, p99 -");
	assert_contains(o.out, "10.0 GiB");
	assert_contains(o.out,
			"SPOOL  WAITING  REFUSED  OLDEST  LOOKED  PATH           LAST ERROR\n"
			"fs           5        1   2.0 h   1.2 s  /var/spool/fs  -\n");
	assert_contains(o.out, "warning         swap is on\n");
	assert_contains(o.out, "last error      disk full\n");
	outcome_free(&o);
}

static void test_status_json(void **state)
{
	struct outcome o;

	keeper(state, "Status", STATUS);
	run("--json", "status");
	json_t *status = json_loads(o.out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(status, "epoch")), 42);
	json_decref(status);
	outcome_free(&o);
}

/* A status that has next to nothing in it must not trip us. */
static void test_status_of_a_sparse_keeper(void **state)
{
	struct outcome o;

	keeper(state, "Status",
			"{\"parameters\":{\"status\":{\"spools\":[7],\"warnings\":[{}],\"recordings\":[]}}"
			"}");
	run("status");
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "assurance       unknown");
	outcome_free(&o);
}

static void test_list_in_pages(void **state)
{
	static const char pages[] =
			"{\"parameters\":{\"recordings\":[" RECORDING_1 "]},\"continues\":true}\n"
			"{\"parameters\":{\"recordings\":[" RECORDING_2 "]}}";
	struct outcome o;

	keeper(state, "ListRecordings", pages);
	run("list");
	assert_int_equal(o.status, CLI_DONE);
	assert_string_equal(o.out,
			"RECORDING                   ACCOUNT  STATE   CONDITION  RECORDED              "
			"LENGTH     SIZE  EXPIRES\n"
			"01kaw5q7v3c2m9x0r8t4e6h1zn  Müller   sealed  ok         2026-11-23T09:01:20Z    "
			"1:03  1.9 MiB  2026-12-23T09:01:20Z\n"
			"01kaw5q7v3c2m9x0r8t4e6h1zp  f00d     destroyed  ok         2026-11-23T10:00:00Z "
			"      -  12 bytes  2026-12-23T10:00:00Z\n");
	outcome_free(&o);
	run("list", "--json");
	json_t *list = json_loads(o.out, 0, NULL);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "account")),
			"Müller");
	json_decref(list);
	outcome_free(&o);
}

static void test_list_sends_its_filter(void **state)
{
	_cleanup_free_ char *calls = NULL;
	struct outcome o;

	keeper(state, "ListRecordings", "{\"parameters\":{\"recordings\":[]}}");
	run("list", "--json", "--state", "pending", "--since", "2026-01-02", "--account", "acme");
	assert_int_equal(o.status, CLI_DONE);
	assert_string_equal(o.out, "[]\n");
	calls = harness_calls(*state);
	assert_string_equal(calls,
			"{\"method\":\"org.recseal.control.ListRecordings\",\"parameters\":{\"account\":"
			"\"acme\",\"state\":\"pending\",\"since\":\"2026-01-02T00:00:00Z\"},\"more\":true}\n");
	outcome_free(&o);
	run("list");
	assert_string_equal(o.out, "No recordings.\n");
	outcome_free(&o);
}

/* What was printed before the keeper failed must not pass for a whole list. */
static void test_list_that_breaks_off(void **state)
{
	struct outcome o;

	keeper(state, "ListRecordings",
			"{\"parameters\":{\"recordings\":[" RECORDING_1 "]},\"continues\":true}\n"
			"{\"error\":\"org.recseal.control.Failed\",\"parameters\":{\"why\":\"disk\"}}");
	run("list", "--json");
	assert_int_equal(o.status, CLI_ERROR);
	assert_null(json_loads(o.out, 0, NULL));
	outcome_free(&o);
	keeper(state, "ListRecordings", "{\"parameters\":{}}");
	run("list", "--json");
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "not what the interface promises");
	outcome_free(&o);
}

static void test_output_that_cannot_be_written(void **state)
{
	struct outcome o;

	keeper(state, "Status", STATUS);
	harness_run(*state, &o, "sh", "-c", PROGRAM " status > /dev/full", NULL);
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "cannot write to standard output: No space left on device");
	outcome_free(&o);
}

static void test_show(void **state)
{
	_cleanup_free_ char *calls = NULL;
	struct outcome o;

	keeper(state, "ShowRecording", "{\"parameters\":{\"recording\":" RECORDING_2 "}}");
	run("show", "01kaw5q7v3c2m9x0r8t4e6h1zp");
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "account         (unreadable: its key is destroyed)\n");
	assert_contains(o.out, "destroyed       2026-11-24T00:00:00Z, in epoch 7\n");
	outcome_free(&o);
	calls = harness_calls(*state);
	assert_contains(calls, "\"parameters\":{\"id\":\"01kaw5q7v3c2m9x0r8t4e6h1zp\"}");
}

static void test_account_list_and_show(void **state)
{
#define ACCOUNT                                                                                    \
	"{\"handle\":\"aa\",\"name\":\"acme\",\"state\":\"open\",\"created_at\":"                  \
	"\"2026-01-01T00:00:00Z\",\"recordings\":{\"sealed\":2},\"plaintext_bytes\":2048,"         \
	"\"oldest_at\":\"2026-01-01T00:00:00Z\",\"newest_at\":\"2026-02-01T00:00:00Z\"}"
	const struct scripted script[] = {
			{.method = "ListAccounts",
					.replies = "{\"parameters\":{\"accounts\":[" ACCOUNT "]}}"},
			{.method = "ShowAccount",
					.replies = "{\"parameters\":{\"account\":" ACCOUNT "}}"},
	};
	struct outcome o;

	harness_keeper(*state, script, ELEMENTSOF(script));
	run("account", "list");
	assert_string_equal(o.out,
			"ACCOUNT  HANDLE  STATE  CREATED                  SIZE  "
			"RECORDINGS\n"
			"acme     aa      open   2026-01-01T00:00:00Z  2.0 KiB  2 sealed\n");
	outcome_free(&o);
	run("account", "list", "--json");
	json_t *list = json_loads(o.out, 0, NULL);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	outcome_free(&o);
	run("account", "show", "acme");
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "recorded        2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z\n");
	outcome_free(&o);
}

/* ---- doctor ---- */

#define CHECK_FINE "{\"where\":\"keeper\",\"what\":\"clock\",\"fine\":true,\"finding\":\"right\"}"
#define CHECK_BAD                                                                                  \
	"{\"where\":\"spool a\",\"what\":\"owner\",\"fine\":false,\"finding\":\"open to all\","    \
	"\"advice\":\"chmod o-w\"}"
#define CHECKS(list) "{\"parameters\":{\"checks\":[" list "]}}"

static void test_doctor(void **state)
{
	struct outcome o;

	keeper(state, "Doctor", CHECKS(CHECK_FINE));
	run("doctor");
	assert_int_equal(o.status, CLI_DONE);
	assert_string_equal(o.out, "fine    keeper, clock: right\n0 to change, 1 fine\n");
	outcome_free(&o);
}

static void test_doctor_finds_something(void **state)
{
	struct outcome o;

	keeper(state, "Doctor", CHECKS(CHECK_BAD "," CHECK_FINE));
	run("doctor");
	assert_int_equal(o.status, CLI_ERROR);
	assert_string_equal(o.out,
			"fine    keeper, clock: right\n"
			"CHANGE  spool a, owner: open to all. To do: chmod o-w\n\n1 to change, 1 fine\n");
	outcome_free(&o);
	run("doctor", "--json");
	assert_int_equal(o.status, CLI_ERROR);
	json_t *list = json_loads(o.out, 0, NULL);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	outcome_free(&o);
}

/* Silence is no health. */
static void test_doctor_of_nonsense(void **state)
{
	struct outcome o;

	keeper(state, "Doctor", CHECKS(""));
	run("doctor");
	assert_int_equal(o.status, CLI_ERROR);
	assert_string_equal(o.out, "");
	outcome_free(&o);
}

/* ---- quarantine ---- */

static void test_quarantine_assign(void **state)
{
	char *calls;
	struct outcome o;

	keeper(state, "AssignRecording",
			"{\"parameters\":{\"recording\":" RECORDING_1 ",\"epoch\":9}}");
	assert_usage("--account", "quarantine", "assign", "x", "--reason", "y");
	assert_usage("--reason", "quarantine", "assign", "x", "--account", "y");
	run("quarantine", "assign", "01kaw5q7v3c2m9x0r8t4e6h1zn", "--account", "Müller", "--reason",
			"ticket 4");
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "belongs to account Müller now");
	assert_contains(o.out, "epoch 9");
	outcome_free(&o);
	calls = harness_calls(*state);
	assert_contains(calls, "\"account\":\"Müller\"");
	assert_contains(calls, "\"reason\":\"ticket 4\"");
	free(calls);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_help_and_version),
			TEST(test_every_command_has_help_with_examples),
			TEST(test_usage_errors),
			TEST(test_no_keeper),
			TEST(test_keeper_that_hangs_up),
			TEST(test_errors_become_exit_codes),
			TEST(test_status),
			TEST(test_status_json),
			TEST(test_status_of_a_sparse_keeper),
			TEST(test_list_in_pages),
			TEST(test_list_sends_its_filter),
			TEST(test_list_that_breaks_off),
			TEST(test_output_that_cannot_be_written),
			TEST(test_show),
			TEST(test_account_list_and_show),
			TEST(test_doctor),
			TEST(test_doctor_finds_something),
			TEST(test_doctor_of_nonsense),
			TEST(test_quarantine_assign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
