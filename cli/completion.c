#include "cli/completion.h"

#include <string.h>

#include "cli/command.h"

/* "a, b, c" as "a b c". */
static void print_choices(const char *choices, FILE *f)
{
	for (; *choices; choices++) {
		if (*choices != ',')
			fputc(*choices, f);
	}
}

/* Whether an earlier row has the same first word. */
static bool is_repeated(const struct command *command)
{
	size_t chars = command_group_chars(command);

	for (const struct command *earlier = command_table; earlier < command; earlier++) {
		if (chars > 0 && command_group_chars(earlier) == chars &&
				memcmp(earlier->name, command->name, chars) == 0)
			return true;
	}
	return false;
}

static void print_first_words(FILE *f)
{
	const char *separator = "";

	for (const struct command *command = command_table; command->name; command++) {
		size_t chars = command_group_chars(command);
		if (is_repeated(command))
			continue;
		fprintf(f, "%s%.*s", separator, (int)(chars ? chars : strlen(command->name)),
				command->name);
		separator = " ";
	}
}

static void print_verbs(const struct command *first, FILE *f)
{
	size_t chars = command_group_chars(first);

	for (const struct command *command = first; command->name; command++) {
		if (command_group_chars(command) == chars &&
				memcmp(command->name, first->name, chars) == 0)
			fprintf(f, "%s%s", command == first ? "" : " ", command->name + chars + 1);
	}
}

/* What may follow these words. */
static void print_words_function(FILE *f)
{
	fputs("_recsealctl_words()\n{\n\tcase $1 in\n\t'') echo '", f);
	print_first_words(f);
	fputs("' ;;\n", f);
	for (const struct command *command = command_table; command->name; command++) {
		size_t chars = command_group_chars(command);
		if (chars == 0 || is_repeated(command))
			continue;
		fprintf(f, "\t'%.*s') echo '", (int)chars, command->name);
		print_verbs(command, f);
		fputs("' ;;\n", f);
	}
	fputs("\tesac\n}\n\n", f);
}

static void print_bits(unsigned bits, FILE *f)
{
	const char *separator = "";

	for (int i = 0; i < OPTION_MAX; i++) {
		if (!(bits & OPTION_BIT(i)))
			continue;
		fprintf(f, "%s--%s", separator, option_specs[i].name);
		separator = " ";
	}
}

/* The options of a command line that begins with these words. */
static void print_options_function(FILE *f)
{
	fputs("_recsealctl_options()\n{\n\tcase $1 in\n", f);
	for (const struct command *command = command_table; command->name; command++) {
		fprintf(f, "\t'%s' | '%s '*) echo '", command->name, command->name);
		print_bits(command->options | OPTIONS_GLOBAL, f);
		fputs("' ;;\n", f);
	}
	fputs("\t*) echo '", f);
	print_bits(OPTIONS_GLOBAL, f);
	fputs("' ;;\n\tesac\n}\n\n", f);
}

/* "--output | -o" */
static void print_pattern(const struct option_spec *spec, FILE *f)
{
	fprintf(f, "--%s", spec->name);
	if (spec->letter)
		fprintf(f, " | -%c", spec->letter);
}

/* What an option's argument may be: a word for the script, or the choices; status 1 for an option
 * without argument. */
static void print_arguments_function(FILE *f)
{
	static const char *const words[] = {
			[OPTION_COMPLETES_NOTHING] = "",
			[OPTION_COMPLETES_FILES] = "FILES",
			[OPTION_COMPLETES_FOLDERS] = "FOLDERS",
	};

	fputs("_recsealctl_argument()\n{\n\tcase $1 in\n", f);
	for (int i = 0; i < OPTION_MAX; i++) {
		const struct option_spec *spec = &option_specs[i];
		if (!spec->argument)
			continue;
		fputc('\t', f);
		print_pattern(spec, f);
		fputs(") echo '", f);
		if (spec->choices)
			print_choices(spec->choices, f);
		else
			fputs(words[spec->completion], f);
		fputs("' ;;\n", f);
	}
	fputs("\t*) return 1 ;;\n\tesac\n}\n\n", f);
}

void completion_print(FILE *f)
{
	fputs("# bash completion for recsealctl(1); made from its tables of commands and "
	      "options\n\n",
			f);
	print_words_function(f);
	print_options_function(f);
	print_arguments_function(f);
}
