/* recsealctl shred: nothing is destroyed that was not planned, explained and confirmed. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/exit.h"
#include "tests/unit/support/cli_assert.h"
#include "tests/unit/support/cli_fixture.h"

#define PROGRAM "./recsealctl"
#define PROMPT  ") to destroy it: "

static const struct scripted script[] = {
		{.method = "PlanShred",
				.replies = "{\"parameters\":{\"plan\":{\"account\":\"acme\",\"recordings\":14,"
					   "\"plaintext_bytes\":3435973837,\"oldest_at\":\"2026-01-02T00:00:00Z\","
					   "\"newest_at\":\"2026-03-04T00:00:00Z\",\"assurance\":\"file\","
					   "\"assurance_sentence\":\"any copy of the root file\"}}}"},
		{.method = "Shred",
				.replies = "{\"parameters\":{\"result\":{\"recordings\":14,\"plaintext_bytes\":"
					   "3435973837,\"epoch_before\":41,\"epoch_after\":42,\"destroyed_at\":"
					   "\"2026-11-23T09:01:20Z\",\"assurance\":\"file\","
					   "\"assurance_sentence\":\"any copy of the root file\"}}}"},
};

static int set_up(void **state)
{
	struct harness *h = harness_new();

	harness_keeper(h, script, ELEMENTSOF(script));
	*state = h;
	return 0;
}

static int tear_down(void **state)
{
	*state = harness_free(*state);
	return 0;
}

#define run(...) harness_run(*state, &o, PROGRAM, "shred", __VA_ARGS__, NULL)

static bool was_shredded(const struct harness *h)
{
	_cleanup_free_ char *calls = harness_calls(h);

	return strstr(calls, "\"method\":\"org.recseal.control.Shred\"") != NULL;
}

static void assert_plan(const char *text)
{
	assert_contains(text, "This shred would destroy the account acme:");
	assert_contains(text, "would be lost   14 recordings, 3.2 GiB");
	assert_contains(text, "recorded        2026-01-02T00:00:00Z to 2026-03-04T00:00:00Z");
	assert_contains(text, "assurance       file: any copy of the root file");
	assert_contains(text, "cannot be undone");
}

static void assert_result(const char *text)
{
	assert_contains(text, "Destroyed: the keys of the account acme.");
	assert_contains(text, "destroyed       14 recordings, 3.2 GiB");
	assert_contains(text, "when            2026-11-23T09:01:20Z");
	assert_contains(text, "epoch           41 before, 42 after");
	assert_contains(text, "reason          asked for");
	assert_contains(text, "assurance       file: any copy of the root file");
	assert_contains(text, "does not prove");
}

static void test_dry_run_needs_nothing_and_destroys_nothing(void **state)
{
	struct outcome o;

	run("account", "acme", "--dry-run");
	assert_int_equal(o.status, CLI_DONE);
	assert_plan(o.out);
	assert_false(was_shredded(*state));
	outcome_free(&o);
	run("account", "acme", "--dry-run", "--yes", "--json", "--reason", "x");
	assert_int_equal(o.status, CLI_DONE);
	json_t *plan = json_loads(o.out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(plan, "recordings")), 14);
	json_decref(plan);
	outcome_free(&o);
	assert_false(was_shredded(*state));
}

static void test_yes_shreds_without_asking(void **state)
{
	struct outcome o;

	run("account", "acme", "--yes", "--reason", "asked for");
	assert_int_equal(o.status, CLI_DONE);
	assert_result(o.out);
	outcome_free(&o);
	_cleanup_free_ char *calls = harness_calls(*state);
	assert_contains(calls, "{\"method\":\"org.recseal.control.Shred\",\"parameters\":{"
			       "\"account\":\"acme\",\"reason\":\"asked for\"}}");
}

static void test_json_is_the_result_alone(void **state)
{
	struct outcome o;

	run("account", "acme", "--yes", "--json", "--reason", "x");
	json_t *result = json_loads(o.out, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(result, "epoch_after")), 42);
	json_decref(result);
	outcome_free(&o);
}

static void test_not_a_terminal_and_no_yes(void **state)
{
	struct outcome o;

	run("account", "acme", "--reason", "x");
	assert_int_equal(o.status, CLI_USAGE);
	assert_contains(o.err, "--yes");
	assert_false(was_shredded(*state));
	outcome_free(&o);
}

static const char *const on_terminal[] = {
		PROGRAM, "shred", "account", "acme", "--reason", "asked for", NULL};

static void test_terminal_confirmed(void **state)
{
	struct outcome o;

	harness_terminal(&o, PROMPT, "acme\n", on_terminal);
	assert_int_equal(o.status, CLI_DONE);
	assert_plan(o.out);
	assert_contains(o.out, "Type the account's name (acme) to destroy it: ");
	assert_result(o.out);
	assert_true(was_shredded(*state));
	outcome_free(&o);
}

static void test_terminal_not_confirmed(void **state)
{
	/* The last one is the terminal's end-of-file. */
	static const char *const answers[] = {
			"\n", "yes\n", "ACME\n", "acme \n", "acme2\n", "\x04"};

	for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
		struct outcome o;
		harness_terminal(&o, PROMPT, answers[i], on_terminal);
		assert_int_equal(o.status, CLI_ERROR);
		assert_contains(o.out, "not confirmed: nothing was destroyed");
		assert_false(was_shredded(*state));
		outcome_free(&o);
	}
}

static void test_terminal_interrupted(void **state)
{
	struct outcome o;

	harness_terminal(&o, PROMPT, "\x03", on_terminal);
	assert_int_equal(o.status, 128 + 2);
	assert_false(was_shredded(*state));
	outcome_free(&o);
}

/* The plan says what the account is called; a person who named it by its handle reads that. */
static void test_terminal_asks_for_the_name_in_the_plan(void **state)
{
	const char *const argv[] = {PROGRAM, "shred", "account", "00ff00ff", "--reason", "x", NULL};
	struct outcome o;

	harness_terminal(&o, PROMPT, "00ff00ff\n", argv);
	assert_int_equal(o.status, CLI_ERROR);
	assert_false(was_shredded(*state));
	outcome_free(&o);
}

static void test_terminal_recording(void **state)
{
	const struct scripted recording[] = {
			{.method = "PlanShred",
					.replies = "{\"parameters\":{\"plan\":{\"recording\":\"" SAMPLE_ID
						   "\",\"recordings\":1,\"plaintext_bytes\":9,\"assurance\":\"file\","
						   "\"assurance_sentence\":\"s\"}}}"},
			script[1],
	};
	const char *const argv[] = {
			PROGRAM, "shred", "recording", SAMPLE_ID, "--reason", "x", NULL};
	struct outcome o;

	harness_keeper(*state, recording, ELEMENTSOF(recording));
	harness_terminal(&o, PROMPT, SAMPLE_ID "\n", argv);
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "Type the recording's id (" SAMPLE_ID ")");
	assert_lacks(o.out, "the account's name");
	outcome_free(&o);
	_cleanup_free_ char *calls = harness_calls(*state);
	assert_contains(calls, "{\"recording\":\"" SAMPLE_ID "\",\"reason\":\"x\"}");
}

#define ALIKE                                                                                          \
	"\"spelling\":\"ac\\\\x6de\",\"look_alikes_left_off\":3,\"look_alikes\":[{\"name\":\"Acme \"," \
	"\"spelling\":\"Acme\\\\x20\",\"handle\":\"7cg7\",\"state\":\"open\",\"recordings\":2,"        \
	"\"plaintext_bytes\":2048},{\"name\":\"ACME\",\"spelling\":\"ACME\",\"handle\":\"3p1w\","      \
	"\"state\":\"open\",\"recordings\":1,\"plaintext_bytes\":9}]"

static void assert_look_alikes(const char *text)
{
	assert_contains(text, "own spelling    ac\\x6de");
	assert_contains(text,
			"looks alike     Acme  (spelt Acme\\x20): 2 recordings, 2.0 KiB; open, handle 7cg7");
	assert_contains(text, "looks alike     ACME: 1 recording, 9 bytes; open, handle 3p1w");
	assert_contains(text, "look alike      3 more: see recsealctl account list");
}

/* Whoever destroys one of several accounts that look alike sees them before and after, and may
 * confirm by either form of the name. */
static void test_look_alikes(void **state)
{
	static const char *const answers[] = {"acme\n", "ac\\x6de\n", "ACME\n"};
	const struct scripted alike[] = {
			{.method = "PlanShred",
					.replies = "{\"parameters\":{\"plan\":{\"account\":\"acme\",\"recordings\":14,"
						   "\"plaintext_bytes\":1,\"assurance\":\"file\","
						   "\"assurance_sentence\":\"s\"," ALIKE "}}}"},
			{.method = "Shred",
					.replies = "{\"parameters\":{\"result\":{\"recordings\":14,\"plaintext_bytes\":"
						   "1,\"epoch_before\":41,\"epoch_after\":42,\"destroyed_at\":"
						   "\"2026-11-23T09:01:20Z\",\"assurance\":\"file\","
						   "\"assurance_sentence\":\"s\"," ALIKE "}}}"},
	};
	struct outcome o;

	harness_keeper(*state, alike, ELEMENTSOF(alike));
	run("account", "acme", "--dry-run");
	assert_look_alikes(o.out);
	assert_contains(o.out, "this shred leaves them");
	outcome_free(&o);
	run("account", "acme", "--yes", "--reason", "x");
	assert_int_equal(o.status, CLI_DONE);
	assert_look_alikes(o.out);
	assert_contains(o.out, "the account acme. Not destroyed: 5 accounts that look alike.");
	assert_contains(o.out, "were not destroyed");
	outcome_free(&o);
	for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
		harness_terminal(&o, PROMPT, answers[i], on_terminal);
		assert_int_equal(o.status, i < 2 ? CLI_DONE : CLI_ERROR);
		outcome_free(&o);
	}
}

static void test_plan_refused_means_no_shred(void **state)
{
	const struct scripted refused[] = {
			{.method = "PlanShred",
					.replies = "{\"error\":\"org.recseal.control.Refused\",\"parameters\":{"
						   "\"why\":\"case 12 holds it\"}}"},
			script[1],
	};
	struct outcome o;

	harness_keeper(*state, refused, ELEMENTSOF(refused));
	run("account", "acme", "--yes", "--reason", "x");
	assert_int_equal(o.status, CLI_REFUSED);
	assert_contains(o.err, "case 12 holds it");
	assert_false(was_shredded(*state));
	outcome_free(&o);
}

/* Nobody may file a result that the keeper did not give. */
static void test_result_without_facts(void **state)
{
	const struct scripted vague[] = {
			script[0],
			{.method = "Shred",
					.replies = "{\"parameters\":{\"result\":{\"recordings\":14}}}"},
	};
	struct outcome o;

	harness_keeper(*state, vague, ELEMENTSOF(vague));
	run("account", "acme", "--yes", "--reason", "x");
	assert_int_equal(o.status, CLI_ERROR);
	assert_lacks(o.out, "Destroyed");
	outcome_free(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_dry_run_needs_nothing_and_destroys_nothing),
			TEST(test_yes_shreds_without_asking),
			TEST(test_json_is_the_result_alone),
			TEST(test_not_a_terminal_and_no_yes),
			TEST(test_terminal_confirmed),
			TEST(test_terminal_not_confirmed),
			TEST(test_terminal_interrupted),
			TEST(test_terminal_asks_for_the_name_in_the_plan),
			TEST(test_terminal_recording),
			TEST(test_look_alikes),
			TEST(test_plan_refused_means_no_shred),
			TEST(test_result_without_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
