/* age-plugin-recseal as a program, started by the stock age command. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/exit.h"
#include "tests/unit/support/cli_assert.h"
#include "tests/unit/support/cli_fixture.h"

/* Lets age find the plugin that was just built. */
static int set_up(void **state)
{
	const char *path = getenv("PATH");
	char here[PATH_MAX];
	_cleanup_free_ char *longer = NULL;

	assert_non_null(getcwd(here, sizeof(here)));
	if (strncmp(path, here, strlen(here)) != 0) {
		assert_true(asprintf(&longer, "%s:%s", here, path) > 0);
		setenv("PATH", longer, 1);
	}
	return fixture_set_up(state);
}

static bool have_age(const struct fixture *f)
{
	struct outcome o;

	harness_run(f->harness, &o, "age", "--version", NULL);
	bool have = o.status == 0;
	outcome_free(&o);
	return have;
}

static void decrypt(struct fixture *f, const struct scripted *script, struct outcome *o)
{
	harness_keeper(f->harness, script, 1);
	harness_run(f->harness, o, "age", "-d", "-j", "recseal", f->sample.path, NULL);
}

static void test_real_age_decrypts(void **state)
{
	struct fixture *f = *state;
	const struct scripted script = {
			.method = "UnwrapFileKey",
			.replies = "{\"parameters\":{\"recording\":\"" SAMPLE_ID
				   "\",\"key_fd\":0}}",
			.fds = {.fd = {f->sample.file_key_fd}, .count = 1},
	};
	struct outcome o;

	if (!have_age(f))
		skip();
	/* age greases its messages at random */
	for (int i = 0; i < 5; i++) {
		decrypt(f, &script, &o);
		assert_string_equal(o.err, "");
		assert_int_equal(o.status, 0);
		assert_int_equal(o.out_len, f->sample.plain_len);
		assert_memory_equal(o.out, f->sample.plain, o.out_len);
		outcome_free(&o);
	}
	_cleanup_free_ char *calls = harness_calls(f->harness);
	assert_contains(calls, "\"method\":\"org.recseal.control.UnwrapFileKey\",\"parameters\":{"
			       "\"args\":[\"" SAMPLE_ID "\",");
}

static void test_real_age_shows_why_not(void **state)
{
	static const struct {
		const char *replies, *text;
	} cases[] = {
			{"{\"error\":\"org.recseal.control.Gone\",\"parameters\":{\"what\":\"" SAMPLE_ID
			 "\",\"epoch\":9}}",
					SAMPLE_ID
					": was destroyed and cannot be recovered (epoch 9)"},
			{"{\"error\":\"org.recseal.control.Refused\",\"parameters\":{\"why\":\"role\"}}",
					"refused: role"},
			{"{\"error\":\"org.recseal.control.NotFound\",\"parameters\":{\"what\":\"it\"}}",
					"it: not in this vault"},
			{"{\"parameters\":{\"key_fd\":0}}",
					"peer broke the protocol"}, /* no descriptor */
			{NULL, "closed the connection"},
	};
	struct fixture *f = *state;

	if (!have_age(f))
		skip();
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		const struct scripted script = {
				.method = "UnwrapFileKey", .replies = cases[i].replies};
		struct outcome o;
		decrypt(f, &script, &o);
		assert_int_not_equal(o.status, 0);
		assert_int_equal(o.out_len, 0);
		assert_contains(o.err, cases[i].text);
		outcome_free(&o);
	}
}

static void test_real_age_without_keeper(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	if (!have_age(f))
		skip();
	harness_run(f->harness, &o, "age", "-d", "-j", "recseal", f->sample.path, NULL);
	assert_int_not_equal(o.status, 0);
	assert_contains(o.err, "is recseal-keeper running?");
	outcome_free(&o);
}

static void test_real_age_cannot_encrypt(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	if (!have_age(f))
		skip();
	harness_run(f->harness, &o, "age", "-e", "-j", "recseal", f->sample.path, NULL);
	assert_int_not_equal(o.status, 0);
	assert_contains(o.err, "sealed by recseald");
	outcome_free(&o);
}

static void test_command_line(void **state)
{
	struct fixture *f = *state;
	struct outcome o;

	harness_run(f->harness, &o, "./age-plugin-recseal", "--age-plugin=future-v9", NULL);
	assert_int_equal(o.status, CLI_USAGE);
	assert_contains(o.err, "identity-v1");
	outcome_free(&o);
	harness_run(f->harness, &o, "./age-plugin-recseal", NULL);
	assert_int_equal(o.status, CLI_USAGE);
	outcome_free(&o);
	harness_run(f->harness, &o, "./age-plugin-recseal", "--help", NULL);
	assert_int_equal(o.status, CLI_DONE);
	assert_contains(o.out, "age -d -j recseal FILE");
	outcome_free(&o);
	/* stdin is empty: the client is gone before it said anything */
	harness_run(f->harness, &o, "./age-plugin-recseal", "--age-plugin=identity-v1", NULL);
	assert_int_equal(o.status, CLI_ERROR);
	outcome_free(&o);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_real_age_decrypts),
			TEST(test_real_age_shows_why_not),
			TEST(test_real_age_without_keeper),
			TEST(test_real_age_cannot_encrypt),
			TEST(test_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
