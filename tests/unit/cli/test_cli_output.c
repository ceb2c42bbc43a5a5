/* What recsealctl shows: tables, numbers, foreign text; and how it reads its command line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/control.h"
#include "cli/field.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/table.h"

static const struct table_column columns[] = {{"NAME", false}, {"SIZE", true}, {"STATE", false}};

static void add_row(struct table *table, const char *a, const char *b, const char *c)
{
	const char *const cells[] = {a, b, c};

	assert_int_equal(table_row(table, cells), 0);
}

static void test_table_counts_code_points(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct table *table = table_new(columns, ELEMENTSOF(columns));

	add_row(table, "Müller & Söhne", "1", "sealed");
	add_row(table, "acme", "1024", NULL);
	table_flush(table, f);
	table_free(table);
	fclose(f);
	assert_string_equal(text, "NAME            SIZE  STATE\n"
				  "Müller & Söhne     1  sealed\n"
				  "acme            1024  -\n");
}

static void test_table_pages_keep_their_columns(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct table *table = table_new(columns, ELEMENTSOF(columns));

	table_flush(table, f); /* no rows: no titles either */
	add_row(table, "a-long-name", "7", "sealed");
	table_flush(table, f);
	add_row(table, "b", "12345", "held");
	table_flush(table, f);
	table_free(table);
	fclose(f);
	assert_string_equal(text, "NAME         SIZE  STATE\n"
				  "a-long-name     7  sealed\n"
				  "b            12345  held\n");
}

static void test_table_holds_many_rows(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size, lines = 0;
	FILE *f = open_memstream(&text, &size);
	struct table *table = table_new(columns, ELEMENTSOF(columns));

	for (int i = 0; i < 1000; i++)
		add_row(table, "x", "1", "sealed");
	table_flush(table, f);
	table_free(table);
	fclose(f);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 1001);
}

static void test_foreign_text_cannot_drive_the_terminal(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
			{"plain", "plain"},
			{"", ""},
			{"Zürich", "Zürich"},
			{"\033]0;owned\a", "\\x1b]0;owned\\x07"},
			{"a\nb", "a\\x0ab"},
			{"caf\xe9", "caf\\xe9"},
			/* The keeper has doubled backslashes already. */
			{"caf\\xe9 \\\\", "caf\\xe9 \\\\"},
			{"\\\033", "\\\\x1b"},
			{"\xe2\x80\xae"
			 "abc",
					"\\xe2\\x80\\xaeabc"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *safe = output_safe(cases[i].in);
		assert_string_equal(safe, cases[i].out);
	}
}

static void test_numbers_for_people(void **state)
{
	char text[OUTPUT_BYTES];

	output_bytes(0, text);
	assert_string_equal(text, "0 bytes");
	output_bytes(1, text);
	assert_string_equal(text, "1 byte");
	output_bytes(1023, text);
	assert_string_equal(text, "1023 bytes");
	output_bytes(1024, text);
	assert_string_equal(text, "1.0 KiB");
	output_bytes(1048575, text);
	assert_string_equal(text, "1.0 MiB");
	output_bytes(INT64_MAX, text);
	assert_string_equal(text, "8.0 EiB");
	output_length(59.6, text);
	assert_string_equal(text, "1:00");
	output_length(3723, text);
	assert_string_equal(text, "1:02:03");
	output_length(-1, text);
	assert_string_equal(text, "0:00");
	output_length(__builtin_nan(""), text);
	assert_string_equal(text, "0:00");
	output_wait(0.44, text);
	assert_string_equal(text, "0.4 s");
	output_wait(90, text);
	assert_string_equal(text, "90 s");
	output_wait(86400 * 3, text);
	assert_string_equal(text, "3.0 days");
	output_wait(1e300, text); /* defined, whatever it says */
}

static void test_fields_of_the_wrong_type_are_not_there(void **state)
{
	json_t *o = json_pack("{s:i, s:s, s:i, s:n, s:f}", "n", 3, "s", "x", "minus", -1, "null",
			"f", 1.5);
	double value = -7;

	assert_string_equal(field_text(o, "s"), "x");
	assert_null(field_text(o, "n"));
	assert_null(field_text(o, "null"));
	assert_null(field_text(o, "absent"));
	assert_null(field_text(NULL, "s"));
	assert_int_equal(field_int(o, "n", 9), 3);
	assert_int_equal(field_int(o, "minus", 9), 9);
	assert_int_equal(field_int(o, "s", 9), 9);
	assert_null(field_array(o, "s"));
	assert_null(field_object(o, "n"));
	assert_false(field_real(o, "s", &value));
	assert_true(value == -7);
	assert_true(field_real(o, "f", &value) && value == 1.5);
	assert_false(field_true(o, "s"));
	json_decref(o);
}

/* Parses; the words as one text. */
static enum cli_exit parse(struct options *options, const char *line)
{
	static char copy[256];
	char *argv[16] = {copy};
	int argc = 1;

	strcpy(copy, "recsealctl");
	char *text = copy + strlen(copy) + 1;
	strcpy(text, line);
	for (char *word; (word = strsep(&text, " "));)
		argv[argc++] = word;
	return options_parse(argc, argv, options);
}

static void test_options_before_and_after_words(void **state)
{
	struct options o;

	assert_int_equal(parse(&o, "--json list --account acme -o x more --since=2026-01-01"),
			CLI_DONE);
	assert_int_equal(o.n_words, 2);
	assert_string_equal(o.words[0], "list");
	assert_string_equal(o.words[1], "more");
	assert_string_equal(o.value[OPTION_ACCOUNT], "acme");
	assert_string_equal(o.value[OPTION_OUTPUT], "x");
	assert_string_equal(o.value[OPTION_SINCE], "2026-01-01");
	assert_true(options_given(&o, OPTION_JSON));
	assert_int_equal(options_bits(&o), OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_ACCOUNT) |
							   OPTION_BIT(OPTION_OUTPUT) |
							   OPTION_BIT(OPTION_SINCE));
	options_free(&o);
}

static void test_words_keep_their_order_under_posixly_correct(void **state)
{
	struct options o;

	setenv("POSIXLY_CORRECT", "1", 1);
	assert_int_equal(parse(&o, "show x --json"), CLI_DONE);
	unsetenv("POSIXLY_CORRECT");
	assert_int_equal(o.n_words, 2);
	assert_true(options_given(&o, OPTION_JSON));
	options_free(&o);
}

static void test_two_dashes_end_the_options(void **state)
{
	struct options o;

	assert_int_equal(parse(&o, "account show -- --json"), CLI_DONE);
	assert_int_equal(o.n_words, 3);
	assert_string_equal(o.words[2], "--json");
	assert_false(options_given(&o, OPTION_JSON));
	options_free(&o);
}

static void test_bad_options(void **state)
{
	struct options o;

	assert_int_equal(parse(&o, "list --no-such"), CLI_USAGE);
	assert_int_equal(parse(&o, "list -x"), CLI_USAGE);
	assert_int_equal(parse(&o, "list --account"), CLI_USAGE);
	assert_int_equal(parse(&o, "list --json=yes"), CLI_USAGE);
	assert_int_equal(parse(&o, "list --account a --account b"), CLI_USAGE);
	assert_int_equal(parse(&o, "list --s x"), CLI_USAGE); /* state, since, socket */
}

static void test_socket_comes_from_option_environment_default(void **state)
{
	struct options o = {0};

	unsetenv("RECSEAL_SOCKET");
	assert_string_equal(options_socket(&o), OPTIONS_DEFAULT_SOCKET);
	setenv("RECSEAL_SOCKET", "", 1);
	assert_string_equal(options_socket(&o), OPTIONS_DEFAULT_SOCKET);
	setenv("RECSEAL_SOCKET", "/e", 1);
	assert_string_equal(options_socket(&o), "/e");
	o.value[OPTION_SOCKET] = "/o";
	assert_string_equal(options_socket(&o), "/o");
	unsetenv("RECSEAL_SOCKET");
}

static void test_times_are_sent_in_utc(void **state)
{
	struct options o = {0};
	char *text = NULL;

	assert_int_equal(options_time(&o, OPTION_SINCE, &text), CLI_DONE);
	assert_null(text);
	o.value[OPTION_SINCE] = "2026-11-23T10:01:20+01:00";
	assert_int_equal(options_time(&o, OPTION_SINCE, &text), CLI_DONE);
	assert_string_equal(text, "2026-11-23T09:01:20Z");
	free(text);
	text = NULL;
	o.value[OPTION_SINCE] = "yesterday";
	assert_int_equal(options_time(&o, OPTION_SINCE, &text), CLI_USAGE);
	assert_null(text);
}

static void test_connecting_fails_with_advice(void **state)
{
	struct reason denied = {0}, absent = {0};

	control_explain_connect("/s", -EACCES, &denied);
	control_explain_connect("/s", -ECONNREFUSED, &absent);
	assert_string_equal(denied.text,
			"you may not connect to /s: Permission denied; only members of the groups "
			"recseal-viewer, recseal-operator and recseal-officer may (Viewers=, Operators= "
			"and Officers= in recseal.conf)");
	assert_string_equal(absent.text,
			"cannot connect to the keeper at /s: Connection refused; is recseal-keeper "
			"running? See systemctl status recseal-keeper");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_table_counts_code_points),
			cmocka_unit_test(test_table_pages_keep_their_columns),
			cmocka_unit_test(test_table_holds_many_rows),
			cmocka_unit_test(test_foreign_text_cannot_drive_the_terminal),
			cmocka_unit_test(test_numbers_for_people),
			cmocka_unit_test(test_fields_of_the_wrong_type_are_not_there),
			cmocka_unit_test(test_options_before_and_after_words),
			cmocka_unit_test(test_words_keep_their_order_under_posixly_correct),
			cmocka_unit_test(test_two_dashes_end_the_options),
			cmocka_unit_test(test_bad_options),
			cmocka_unit_test(test_socket_comes_from_option_environment_default),
			cmocka_unit_test(test_times_are_sent_in_utc),
			cmocka_unit_test(test_connecting_fails_with_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
