/* The keeper's table of methods, held against the interface that it serves to clients
 * (org.recseal.control.varlink): the same methods with the same parameters of the same types, and the
 * same ones called with `more`. Both are written as an outline, a line for each method in order, and
 * compared; the negative control spoils the interface and sees that its outline differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "daemon/keeper/control/control_method.h"

static const char interface_text[] =
#include "daemon/keeper/control/control_interface.inc"
		;

static const char *const types[] = {
		[PARAMETER_TEXT] = "?string",
		[PARAMETER_REQUIRED] = "string",
		[PARAMETER_REASON] = "string",
		[PARAMETER_LIST] = "[]string",
		[PARAMETER_FLAG] = "?bool",
};

/* "more ListRecordings(account: ?string, state: ?string)"; a string to free(). */
static char *outline_table(const struct control_method *methods)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	for (const struct control_method *method = methods; method->name; method++) {
		const char *separator = "";
		fprintf(f, "%s%s(", method->more ? "more " : "", method->name);
		for (const struct control_parameter *p = method->parameters; p->name; p++) {
			fprintf(f, "%s%s: %s", separator, p->name, types[p->kind]);
			separator = ", ";
		}
		fputs(")\n", f);
	}
	assert_int_equal(fclose(f), 0);
	return text;
}

/* The same of an interface: of each method the name and the parameters, up to the bracket. Whether it
 * is called with `more` stands in the comment above it. */
static char *outline_interface(const char *interface)
{
	static const char keyword[] = "method ", with_more[] = "# Call with `more`";
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	bool more = false;

	assert_non_null(f);
	for (const char *line = interface; *line; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, with_more, strlen(with_more)) == 0)
			more = true;
		if (strncmp(line, keyword, strlen(keyword)) != 0)
			continue;
		const char *method = line + strlen(keyword);
		fprintf(f, "%s%.*s)\n", more ? "more " : "", (int)strcspn(method, ")"), method);
		more = false;
	}
	assert_int_equal(fclose(f), 0);
	return text;
}

static void test_table_and_interface_are_the_same(void **state)
{
	_cleanup_free_ char *table = outline_table(control_methods);
	_cleanup_free_ char *interface = outline_interface(interface_text);

	assert_string_equal(table, interface);
}

static void test_rows_are_whole(void **state)
{
	for (const struct control_method *method = control_methods; method->name; method++) {
		assert_non_null(method->handle);
		assert_int_not_equal(method->roles, 0);
		/* The list of parameters ends with one that has no name. */
		assert_null(method->parameters[CONTROL_PARAMETERS_MAX].name);
	}
}

static void test_control_spoilt_interfaces_differ(void **state)
{
	static const char *const changes[][2] = {
			{"method ShowRoot()", "method ShowRoots()"},
			{"method ShowRoot()", "# method ShowRoot()"},
			{"method ShowRoot()", "method Export() -> ()\nmethod ShowRoot()"},
			{"method ShowRoot()", "method ShowRoot(name: string)"},
			{"(id: string, purpose: string, ", "(id: string, "},
			{"(id: string, purpose: string, ", "(id: string, purpose: ?string, "},
			{"(args: []string, ", "(args: string, "},
			{"# Call with `more`: each reply is a page of recordings, oldest first.",
					"#"},
	};
	_cleanup_free_ char *table = outline_table(control_methods);

	for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
		const char *at = strstr(interface_text, changes[i][0]);
		_cleanup_free_ char *spoilt = NULL;
		assert_non_null(at);
		assert_true(asprintf(&spoilt, "%.*s%s%s", (int)(at - interface_text),
					    interface_text, changes[i][1],
					    at + strlen(changes[i][0])) > 0);
		_cleanup_free_ char *interface = outline_interface(spoilt);
		assert_string_not_equal(table, interface);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_table_and_interface_are_the_same),
			cmocka_unit_test(test_rows_are_whole),
			cmocka_unit_test(test_control_spoilt_interfaces_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
