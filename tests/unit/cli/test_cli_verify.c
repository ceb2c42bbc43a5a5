/* recsealctl verify: every damage is found, and nothing else is called damage. */
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

#define PROGRAM  "./recsealctl"
#define OTHER_ID "01kaw5q7v3c2m9x0r8t4e6h1zp"

#define run(...) harness_run(f->harness, &o, PROGRAM, __VA_ARGS__, NULL)

static void test_verify_named(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	harness_keeper(f->harness, &f->script, 1);
	run("verify", SAMPLE_ID, OTHER_ID);
	assert_int_equal(o.status, CLI_DONE);
	assert_string_equal(o.out, "2 recordings verified, 0 damaged\n");
	assert_string_equal(o.err, ""); /* no progress where there is no terminal */
	outcome_free(&o);
	_cleanup_free_ char *calls = harness_calls(f->harness);
	assert_contains(calls, "\"purpose\":\"verify\",\"reason\":\"integrity check\"");
}

static void test_verify_finds_every_damaged_chunk(void **state)
{
	struct fixture *f = *state;

	harness_keeper(f->harness, &f->script, 1);
	for (unsigned chunk = 0; chunk < 6; chunk++) {
		struct outcome o;
		fixture_damage_chunk(f, chunk);
		run("verify", SAMPLE_ID, "--json");
		assert_int_equal(o.status, CLI_ERROR);
		json_t *result = json_loads(o.out, 0, NULL);
		const json_t *finding = json_array_get(json_object_get(result, "bad"), 0);
		assert_int_equal(json_integer_value(json_object_get(result, "checked")), 1);
		assert_int_equal(json_integer_value(json_object_get(result, "ok")), 0);
		assert_string_equal(json_string_value(json_object_get(finding, "id")), SAMPLE_ID);
		assert_contains(json_string_value(json_object_get(finding, "error")), "damaged");
		json_decref(result);
		outcome_free(&o);
		fixture_damage_chunk(f, chunk); /* and back */
	}
}

static void test_verify_compares_with_the_catalog(void **state)
{
	struct fixture *f = *state;
	struct sample other;
	char text[512];
	struct outcome o;

	/* A whole, authentic object, but not the one that was sealed. */
	sample_make(f->harness, "other", 100, &other);
	struct scripted script = sample_script(&other, text, sizeof(text));
	char *size = strstr(text, "\"plaintext_bytes\":100");
	size[strlen("\"plaintext_bytes\":")] = '2';
	harness_keeper(f->harness, &script, 1);
	run("verify", SAMPLE_ID);
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "its size is not the one in the catalog");
	assert_string_equal(o.out, "0 recordings verified, 1 damaged\n");
	outcome_free(&o);
	sample_free(&other);
}

static void test_verify_goes_on_after_a_finding(void **state)
{
	struct fixture *f = *state;
	const struct scripted script[] = {
			{.method = "OpenRecording",
					.replies = "{\"error\":\"org.recseal.control.Damaged\",\"parameters\":{"
						   "\"what\":\"recording " OTHER_ID
						   "\",\"why\":\"header altered\"}}"},
			f->script,
	};
	struct outcome o;

	harness_keeper(f->harness, script, ELEMENTSOF(script));
	run("verify", OTHER_ID, SAMPLE_ID);
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "recording " OTHER_ID ": damaged: header altered");
	assert_string_equal(o.out, "1 recording verified, 1 damaged\n");
	outcome_free(&o);
}

static void test_verify_of_a_shredded_recording(void **state)
{
	struct fixture *f = *state;
	const struct scripted script[] = {
			{.method = "OpenRecording",
					.replies = "{\"error\":\"org.recseal.control.Gone\",\"parameters\":{"
						   "\"what\":\"x\"}}"},
			f->script,
	};
	struct outcome o;

	harness_keeper(f->harness, script, ELEMENTSOF(script));
	run("verify", OTHER_ID, SAMPLE_ID);
	assert_int_equal(o.status, CLI_GONE);
	assert_string_equal(o.out, "1 recording verified, 0 damaged\n");
	outcome_free(&o);
}

static void test_verify_stops_when_refused(void **state)
{
	struct fixture *f = *state;
	const struct scripted script = {.method = "OpenRecording",
			.replies = "{\"error\":\"org.recseal.control.Refused\",\"parameters\":{\"why\":"
				   "\"role\"}}"};
	struct outcome o;

	harness_keeper(f->harness, &script, 1);
	run("verify", OTHER_ID, SAMPLE_ID);
	assert_int_equal(o.status, CLI_REFUSED);
	assert_string_equal(o.out, "");
	outcome_free(&o);
}

static size_t count_text(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
		n++;
	return n;
}

#define ENTRY(id, state) "{\"id\":\"" id "\",\"state\":\"" state "\"}"

static void test_verify_all_skips_what_has_no_key(void **state)
{
	struct fixture *f = *state;
	const struct scripted script[] = {
			{.method = "ListRecordings",
					.replies = "{\"parameters\":{\"recordings\":[" ENTRY(
							SAMPLE_ID,
							"sealed") "," ENTRY("01kaw5q7v3c2m9x0r8t4e6h1z0",
							"destroyed") "]},\"continues\":true}\n"
								     "{\"parameters\":{\"recordings\":[" ENTRY(
										     "01kaw5q7v3c2m9x0r8t4e6h1z1",
										     "pending") "," ENTRY(OTHER_ID,
										     "held") "," ENTRY("01kaw5q7v3c2m9x0r8t4e6h1z2",
										     "quarantined") "]}}"},
			f->script,
			f->script,
			/* Shredded since it was listed: no finding. */
			{.method = "OpenRecording",
					.replies = "{\"error\":\"org.recseal.control.Gone\",\"parameters\":{"
						   "\"what\":\"x\"}}"},
			{.method = "VerifyCatalog",
					.replies = "{\"parameters\":{\"findings\":[]}}"},
	};
	struct outcome o;

	harness_keeper(f->harness, script, ELEMENTSOF(script));
	run("verify", "--all");
	assert_int_equal(o.status, CLI_DONE);
	assert_string_equal(o.out, "2 recordings verified, 0 damaged\n");
	outcome_free(&o);
	_cleanup_free_ char *calls = harness_calls(f->harness);
	assert_int_equal(count_text(calls, "OpenRecording"), 3);
	assert_int_equal(count_text(calls, OTHER_ID), 1);
}

static void test_verify_all_of_an_altered_catalog(void **state)
{
	struct fixture *f = *state;
	const struct scripted script[] = {
			{.method = "ListRecordings",
					.replies = "{\"parameters\":{\"recordings\":[]}}"},
			{.method = "VerifyCatalog",
					.replies = "{\"parameters\":{\"findings\":[\"recording 17 altered\"]},"
						   "\"continues\":true}\n"
						   "{\"parameters\":{\"findings\":[\"tally 1.1 altered\"]}}"},
	};
	struct outcome o;

	harness_keeper(f->harness, script, ELEMENTSOF(script));
	run("verify", "--all");
	assert_int_equal(o.status, CLI_ERROR);
	assert_string_equal(o.out, "0 recordings verified, 0 damaged\nthe catalog: 2 findings\n");
	assert_contains(o.err, "recording 17 altered");
	assert_contains(o.err, "tally 1.1 altered");
	outcome_free(&o);
}

static void test_verify_all_of_a_lying_keeper(void **state)
{
	struct fixture *f = *state;
	const struct scripted script = {.method = "ListRecordings",
			.replies = "{\"parameters\":{\"recordings\":[" ENTRY(
					"../etc", "sealed") "]}}"};
	struct outcome o;

	harness_keeper(f->harness, &script, 1);
	run("verify", "--all");
	assert_int_equal(o.status, CLI_ERROR);
	assert_contains(o.err, "peer broke the protocol");
	outcome_free(&o);
}

static void test_verify_shows_progress_on_a_terminal(void **state)
{
	struct fixture *f = *state;
	const char *const argv[] = {PROGRAM, "verify", SAMPLE_ID, NULL};
	struct outcome o;

	harness_keeper(f->harness, &f->script, 1);
	harness_terminal(&o, "", NULL, argv);
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "\rverifying: 0 of 1, 0 damaged");
	assert_contains(o.out, "\r\033[K1 recording verified, 0 damaged");
	outcome_free(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_verify_named),
			TEST(test_verify_finds_every_damaged_chunk),
			TEST(test_verify_compares_with_the_catalog),
			TEST(test_verify_goes_on_after_a_finding),
			TEST(test_verify_of_a_shredded_recording),
			TEST(test_verify_stops_when_refused),
			TEST(test_verify_all_skips_what_has_no_key),
			TEST(test_verify_all_of_an_altered_catalog),
			TEST(test_verify_all_of_a_lying_keeper),
			TEST(test_verify_shows_progress_on_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
