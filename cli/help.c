#include "cli/help.h"

static void print_options(unsigned bits, FILE *f)
{
	for (int i = 0; i < OPTION_MAX; i++) {
		const struct option_spec *spec = &option_specs[i];
		char left[64];
		if (!(bits & OPTION_BIT(i)))
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", spec->letter ? "-" : "  ",
				spec->letter ? spec->letter : ' ', spec->letter ? ", " : " ",
				spec->name, spec->argument ? " " : "",
				spec->argument ? spec->argument : "");
		fprintf(f, "  %-22s %s\n", left, spec->help);
	}
}

void help_overview(FILE *f)
{
	fputs("Usage: recsealctl COMMAND [OPTION...]\n\n"
	      "Lists, plays, verifies and shreds sealed conference recordings.\n\n"
	      "Commands:\n",
			f);
	for (const struct command *command = command_table; command->name; command++)
		fprintf(f, "  %-17s  %s\n", command->name, command->summary);
	fputs("\nOptions of every command:\n", f);
	print_options(OPTIONS_GLOBAL, f);
	fputs("\n`recsealctl COMMAND --help` explains a command, with examples.\n"
	      "Exit status: 0 done, 1 error, 2 wrong command line, 3 refused by policy, 4 not "
	      "found,\n"
	      "5 gone (shredded).\n",
			f);
}

void help_command(const struct command *command, FILE *f)
{
	fprintf(f, "Usage: recsealctl %s %s\n\n%s\nOptions:\n", command->name, command->synopsis,
			command->help);
	print_options(command->options | OPTIONS_GLOBAL, f);
	fprintf(f, "\nExamples:\n%s", command->examples);
}

void help_group(const char *group, FILE *f)
{
	for (const struct command *command = command_table; command->name; command++) {
		if (command_in_group(command, group))
			fprintf(f, "  recsealctl %s %s\n", command->name, command->synopsis);
	}
}
