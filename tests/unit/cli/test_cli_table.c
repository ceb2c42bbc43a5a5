/* The table of commands, held against everything that shows it: the overview, each command's help,
 * bash completion as it is shipped, and the SYNOPSIS of recsealctl(1). Each of them is read back into
 * an outline, a line for each command in order, and compared with the outline of the table: a row
 * that is missing and a command that has no row are both seen. The negative controls spoil a text
 * and see that its outline differs. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "tests/unit/support/cli_assert.h"
#include "tests/unit/support/cli_fixture.h"

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

/* ---- texts ---- */

struct text {
	FILE *f;
	char *chars;
	size_t size;
};

static void text_open(struct text *text)
{
	*text = (struct text){0};
	text->f = open_memstream(&text->chars, &text->size);
	assert_non_null(text->f);
}

/* The text, to free(). */
static char *text_close(struct text *text)
{
	assert_int_equal(fclose(text->f), 0);
	return text->chars;
}

static char *read_source(const char *name)
{
	const char *srcdir = getenv("srcdir");
	_cleanup_free_ char *path = NULL, *text = calloc(1, 1 << 18);

	assert_true(asprintf(&path, "%s/%s", srcdir ? srcdir : ".", name) > 0);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
	fclose(f);
	return TAKE_PTR(text);
}

/* A copy of text in which one part is replaced. */
static char *spoil(const char *text, const char *part, const char *by)
{
	const char *at = strstr(text, part);
	char *spoilt;

	assert_non_null(at);
	assert_true(asprintf(&spoilt, "%.*s%s%s", (int)(at - text), text, by, at + strlen(part)) >
			0);
	return spoilt;
}

/* ---- outlines of the table ---- */

static char *outline_names(void)
{
	struct text out;

	text_open(&out);
	for (const struct command *command = command_table; command->name; command++)
		fprintf(out.f, "%s\n", command->name);
	return text_close(&out);
}

static char *outline_synopses(void)
{
	struct text out;

	text_open(&out);
	for (const struct command *command = command_table; command->name; command++)
		fprintf(out.f, "%s %s\n", command->name, command->synopsis);
	return text_close(&out);
}

static void print_option_names(unsigned bits, FILE *f)
{
	for (int i = 0; i < OPTION_MAX; i++) {
		if (bits & OPTION_BIT(i))
			fprintf(f, " --%s", option_specs[i].name);
	}
	fputc('\n', f);
}

static char *outline_options(void)
{
	struct text out;

	text_open(&out);
	for (const struct command *command = command_table; command->name; command++) {
		fprintf(out.f, "%s:", command->name);
		print_option_names(command->options | OPTIONS_GLOBAL, out.f);
	}
	return text_close(&out);
}

static void test_rows_are_whole(void **state)
{
	for (const struct command *command = command_table; command->name; command++) {
		assert_true(*command->summary && *command->help && *command->synopsis);
		assert_true(command->min_operands <= command->max_operands);
		assert_int_equal(command->options & OPTIONS_GLOBAL, 0);
		assert_non_null(command->run);
		assert_contains(command->examples, "  recsealctl ");
		assert_contains(command->examples, command->name);
	}
}

/* ---- the overview ---- */

static char *overview(void)
{
	struct text out;

	text_open(&out);
	help_overview(out.f);
	return text_close(&out);
}

/* The names below "Commands:"; two spaces end a name. */
static char *read_overview(const char *text)
{
	const char *line = strstr(text, "\nCommands:\n");
	struct text out;

	assert_non_null(line);
	text_open(&out);
	for (line += strlen("\nCommands:\n"); *line && *line != '\n';
			line += strcspn(line, "\n") + 1) {
		const char *end = strstr(line + 2, "  ");
		assert_true(end && end < strchr(line, '\n'));
		fprintf(out.f, "%.*s\n", (int)(end - line - 2), line + 2);
	}
	return text_close(&out);
}

static void test_overview(void **state)
{
	_cleanup_free_ char *expected = outline_names(), *text = overview();
	_cleanup_free_ char *names = read_overview(text);
	_cleanup_free_ char *less = spoil(text, "\n  show ", "\n  shown ");
	_cleanup_free_ char *control = read_overview(less);

	assert_string_equal(names, expected);
	assert_string_not_equal(control, expected);
	for (const struct command *command = command_table; command->name; command++)
		assert_contains(text, command->summary);
}

/* ---- each command's help ---- */

static char *command_help(const struct command *command)
{
	struct text out;

	text_open(&out);
	help_command(command, out.f);
	return text_close(&out);
}

/* The options below "Options:", as the table's outline prints them. */
static char *read_help_options(const char *text)
{
	const char *line = strstr(text, "\nOptions:\n");
	struct text out;

	assert_non_null(line);
	text_open(&out);
	for (line += strlen("\nOptions:\n"); *line && *line != '\n';
			line += strcspn(line, "\n") + 1) {
		size_t skip = strspn(line, " ");
		const char *name = line + skip;
		if (skip == 2) /* "-h, --help" */
			name += strlen("-h, ");
		if (strncmp(name, "--", 2) == 0)
			fprintf(out.f, " %.*s", (int)strcspn(name, " "), name);
	}
	fputc('\n', out.f);
	return text_close(&out);
}

static void test_help_of_each_command(void **state)
{
	for (const struct command *command = command_table; command->name; command++) {
		_cleanup_free_ char *text = command_help(command), *usage = NULL;
		_cleanup_free_ char *options = read_help_options(text);
		struct text expected;
		assert_true(asprintf(&usage, "Usage: recsealctl %s %s\n", command->name,
					    command->synopsis) > 0);
		assert_contains(text, usage);
		assert_contains(text, command->help);
		assert_contains(text, command->examples);
		text_open(&expected);
		print_option_names(command->options | OPTIONS_GLOBAL, expected.f);
		_cleanup_free_ char *names = text_close(&expected);
		assert_string_equal(options, names);
	}
}

/* ---- the synopsis names the row's options ---- */

/* The option that a synopsis names at p, or OPTION_MAX. */
static enum option_id read_option(const char *p)
{
	size_t chars = strspn(p + 2, "abcdefghijklmnopqrstuvwxyz-0123456789");

	for (int i = 0; i < OPTION_MAX; i++) {
		const struct option_spec *spec = &option_specs[i];
		if (p[1] == '-' && strlen(spec->name) == chars &&
				strncmp(p + 2, spec->name, chars) == 0)
			return (enum option_id)i;
		if (spec->letter && p[1] == spec->letter && p[2] == ' ')
			return (enum option_id)i;
	}
	return OPTION_MAX;
}

/* Whether a synopsis names exactly these options; --json, which every command takes, may be there
 * too. */
static bool synopsis_has(const char *synopsis, unsigned bits)
{
	unsigned named = 0;

	for (const char *p = synopsis; (p = strchr(p, '-')); p += strcspn(p, " ]")) {
		enum option_id option = read_option(p);
		if (option == OPTION_MAX)
			return false;
		named |= OPTION_BIT(option);
	}
	return (named & ~OPTION_BIT(OPTION_JSON)) == bits;
}

static void test_synopsis_names_the_options(void **state)
{
	for (const struct command *command = command_table; command->name; command++) {
		if (!synopsis_has(command->synopsis, command->options))
			fail_msg("%s: synopsis and options differ", command->name);
	}
	assert_true(synopsis_has("A [-o FILE] [--json]", OPTION_BIT(OPTION_OUTPUT)));
	assert_false(synopsis_has("A [-o FILE]", 0));
	assert_false(synopsis_has("A", OPTION_BIT(OPTION_OUTPUT)));
	assert_false(synopsis_has("A [--outpu FILE]", OPTION_BIT(OPTION_OUTPUT)));
}

/* ---- the manual ---- */

/* One mdoc(7) line of the SYNOPSIS as plain text: "Op Fl -file Ar name" is "[--file NAME]". */
static void print_mdoc(char *line, FILE *f)
{
	const char *close = "", *separator = " ";
	bool flag = false, argument = false;
	char *save = NULL;

	for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		bool opens = strcmp(word, "Op") == 0, opens_round = strcmp(word, "Pq") == 0;
		if (opens || opens_round) {
			close = opens ? "]" : ")";
			fputs(opens ? " [" : " (", f);
			separator = "";
		} else if (strcmp(word, "Ns") == 0) {
			separator = "";
			argument = false;
		} else if (strcmp(word, "Fl") == 0 || strcmp(word, "Ar") == 0 ||
				strcmp(word, "Cm") == 0) {
			flag = *word == 'F';
			argument = *word == 'A';
		} else {
			fprintf(f, "%s%s", separator, flag ? "-" : "");
			for (const char *p = word; *p; p++)
				fputc(argument ? toupper((unsigned char)*p) : *p, f);
			separator = " ";
			flag = false;
		}
	}
	fputs(close, f);
}

/* The SYNOPSIS of a manual page: a line for each .Nm. */
static char *read_manual(const char *page)
{
	const char *start = strstr(page, "\n.Sh SYNOPSIS\n");
	_cleanup_free_ char *section = NULL;
	char *save = NULL;
	struct text out;

	assert_non_null(start);
	start += strlen("\n.Sh SYNOPSIS\n");
	section = strndup(start, (size_t)(strstr(start, "\n.Sh ") - start));
	text_open(&out);
	for (char *line = strtok_r(section, "\n", &save); line;
			line = strtok_r(NULL, "\n", &save)) {
		if (strcmp(line, ".Nm") == 0)
			fputc('\n', out.f);
		else
			print_mdoc(line + 1, out.f);
	}
	fputc('\n', out.f);
	_cleanup_free_ char *text = text_close(&out);
	/* Each line begins with a space, the first with an empty line. */
	text_open(&out);
	for (const char *p = text + 1; *p; p++) {
		if (p[-1] != '\n')
			fputc(*p, out.f);
	}
	return text_close(&out);
}

static void test_manual(void **state)
{
	_cleanup_free_ char *page = read_source("man/recsealctl.1"), *expected = outline_synopses();
	_cleanup_free_ char *synopses = read_manual(page);

	assert_string_equal(synopses, expected);
}

/* The long options of the manual's list, in order. */
static char *read_manual_options(const char *page)
{
	const char *line = strstr(page, "\n.Ss Options\n"), *end;
	struct text out;

	assert_non_null(line);
	end = strstr(line, "\n.El\n");
	text_open(&out);
	for (line++; line < end; line += strcspn(line, "\n") + 1) {
		if (strncmp(line, ".It ", 4) != 0)
			continue;
		_cleanup_free_ char *item = strndup(line, strcspn(line, "\n"));
		char *save = NULL;
		for (char *word = strtok_r(item, " ", &save); word;
				word = strtok_r(NULL, " ", &save)) {
			if (*word == '-')
				fprintf(out.f, " -%s", word);
		}
	}
	fputc('\n', out.f);
	return text_close(&out);
}

static void test_manual_lists_the_options(void **state)
{
	_cleanup_free_ char *page = read_source("man/recsealctl.1");
	_cleanup_free_ char *listed = read_manual_options(page);
	_cleanup_free_ char *spoilt = spoil(page, ".It Fl -yes\n", "");
	_cleanup_free_ char *control = read_manual_options(spoilt);
	struct text expected;

	text_open(&expected);
	print_option_names((1U << OPTION_MAX) - 1, expected.f);
	_cleanup_free_ char *names = text_close(&expected);
	assert_string_equal(listed, names);
	assert_string_not_equal(control, names);
}

static void test_control_manual(void **state)
{
	static const char *const changes[][2] = {
			{".Nm\n.Cm root test\n.Op Fl -json\n", ""},
			{".Cm root test\n", ".Cm root tests\n"},
			{".Cm root test\n", ".Cm root test\n.Ar name\n"},
			{".Op Fl -dry-run\n", ""},
			{".Op Fl -until Ar time\n", ".Fl -until Ar time\n"},
			{".Sh DESCRIPTION\n", ".Nm\n.Cm export\n.Sh DESCRIPTION\n"},
	};
	_cleanup_free_ char *page = read_source("man/recsealctl.1"), *expected = outline_synopses();

	for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
		_cleanup_free_ char *spoilt = spoil(page, changes[i][0], changes[i][1]);
		_cleanup_free_ char *synopses = read_manual(spoilt);
		assert_string_not_equal(synopses, expected);
	}
}

/* ---- bash completion ---- */

/* What the functions of a completion script, in this file, say of all commands and their options. */
static char *read_completion(void **state, const char *file)
{
	static const char script[] =
			"complete() { :; }\n"
			". \"$0\"\n"
			"show() { printf '%s: %s\\n' \"$1\" \"$(_recsealctl_options \"$1\")\"; }\n"
			"for word in $(_recsealctl_words ''); do\n"
			"	verbs=$(_recsealctl_words \"$word\")\n"
			"	[ -n \"$verbs\" ] || show \"$word\"\n"
			"	for verb in $verbs; do show \"$word $verb\"; done\n"
			"done\n";
	struct outcome o;

	harness_run(*state, &o, "bash", "-c", script, file, NULL);
	assert_string_equal(o.err, "");
	char *text = strdup(o.out);
	outcome_free(&o);
	return text;
}

static void test_completion(void **state)
{
	_cleanup_free_ char *expected = outline_options();
	_cleanup_free_ char *said = read_completion(state, "./cli/recsealctl");

	assert_string_equal(said, expected);
}

static void test_control_completion(void **state)
{
	static const char *const changes[][2] = {
			{"echo 'status ", "echo '"},
			{"echo 'status ", "echo 'export status "},
			{"'show test ", "'show "},
			{"'list show", "'list close show"},
			{"'--account --state ", "'--account "},
			{"'--account --state ", "'--force --account --state "},
	};
	_cleanup_free_ char *expected = outline_options(), *path = harness_path(*state, "spoilt");
	struct text out;

	text_open(&out);
	completion_print(out.f);
	_cleanup_free_ char *good = text_close(&out);
	for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
		_cleanup_free_ char *spoilt = spoil(good, changes[i][0], changes[i][1]);
		FILE *f = fopen(path, "we");
		fputs(spoilt, f);
		assert_int_equal(fclose(f), 0);
		_cleanup_free_ char *said = read_completion(state, path);
		assert_string_not_equal(said, expected);
	}
}

/* What bash would offer for a command line whose last word is being typed; bash-completion's own
 * functions are replaced. */
static char *complete(void **state, const char *line)
{
	static const char script[] =
			"complete() { :; }\n"
			". ./cli/recsealctl\n"
			"_init_completion()\n"
			"{\n"
			"	IFS=, read -ra words <<<\"$0,\"\n"
			"	cword=$((${#words[@]} - 1)) cur=${words[-1]} prev=${words[-2]}\n"
			"}\n"
			"_filedir() { COMPREPLY=(\"a file $*\"); }\n"
			"_recsealctl\n"
			"echo \"${COMPREPLY[*]}\"\n";
	struct outcome o;

	harness_run(*state, &o, "bash", "-c", script, line, NULL);
	assert_string_equal(o.err, "");
	char *text = strdup(o.out);
	outcome_free(&o);
	return text;
}

static void test_completion_at_work(void **state)
{
	static const struct {
		const char *line; /* its words, with commas between them */
		const char *offered;
	} cases[] = {
			{"recsealctl,st", "status\n"},
			{"recsealctl,root,rep", "replace\n"},
			{"recsealctl,--socket,/x,shred,rec", "recording\n"},
			{"recsealctl,shred,account,acme,--d", "--dry-run\n"},
			{"recsealctl,list,--st", "--state\n"},
			{"recsealctl,list,--state,p", "pending\n"},
			{"recsealctl,play,x,-o,", "a file \n"},
			{"recsealctl,root,add,x,--file,", "a file -d\n"},
			{"recsealctl,play,x,--reason,", "\n"},
			{"recsealctl,play,x,--reason,root,--a", "\n"},
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *offered = complete(state, cases[i].line);
		assert_string_equal(offered, cases[i].offered);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_rows_are_whole),
			cmocka_unit_test(test_overview),
			cmocka_unit_test(test_help_of_each_command),
			cmocka_unit_test(test_synopsis_names_the_options),
			cmocka_unit_test(test_manual),
			cmocka_unit_test(test_manual_lists_the_options),
			cmocka_unit_test(test_control_manual),
			TEST(test_completion),
			TEST(test_control_completion),
			TEST(test_completion_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
