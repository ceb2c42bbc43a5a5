/* recsealctl: the administrator's view of a recseal vault, over its control socket. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/secret.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"

static const struct command *const commands[] = {
		&command_status,
		&command_doctor,
		&command_list,
		&command_show,
		&command_play,
		&command_verify,
		&command_account_list,
		&command_account_show,
		&command_quarantine_assign,
		&command_shred_account,
		&command_shred_recording,
		&command_root_show,
		&command_root_test,
		&command_root_add,
		&command_root_replace,
		&command_root_drop,
};

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

static void print_overview(FILE *f)
{
	fputs("Usage: recsealctl COMMAND [OPTION...]\n\n"
	      "Looks after sealed conference recordings: see, play, verify and shred them.\n\n"
	      "Commands:\n",
			f);
	for (size_t i = 0; i < ELEMENTSOF(commands); i++)
		fprintf(f, "  %-18s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nOptions of every command:\n", f);
	print_options(OPTIONS_GLOBAL, f);
	fputs("\nrecsealctl COMMAND --help tells more, with examples. Exit status: 0 done, 1 "
	      "error,\n2 usage, 3 refused by policy, 4 not found, 5 gone (shredded).\n",
			f);
}

static void print_command(const struct command *command, FILE *f)
{
	fprintf(f, "Usage: recsealctl %s%s%s\n\n%s\n", command->name, *command->synopsis ? " " : "",
			command->synopsis, command->help);
	fputs("Options:\n", f);
	print_options(command->options | OPTIONS_GLOBAL, f);
	fprintf(f, "\nExamples:\n%s", command->examples);
}

/* Whether the words begin with this name; how many of them it took. */
static size_t match_name(const char *name, const char *const *words, size_t n_words)
{
	const char *space = strchr(name, ' ');
	size_t first = space ? (size_t)(space - name) : strlen(name);

	if (n_words < 1 || strlen(words[0]) != first || memcmp(words[0], name, first) != 0)
		return 0;
	if (!space)
		return 1;
	return n_words >= 2 && strcmp(words[1], space + 1) == 0 ? 2 : 0;
}

static const struct command *find_command(const struct options *options, size_t *ret_taken)
{
	for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
		size_t taken = match_name(commands[i]->name, (const char *const *)options->words,
				options->n_words);
		if (taken > 0) {
			*ret_taken = taken;
			return commands[i];
		}
	}
	return NULL;
}

/* "account" alone is half a command: say which halves there are. */
static enum cli_exit refuse_words(const struct options *options)
{
	const char *word = options->words[0];
	size_t len = strlen(word);
	bool half = false;

	for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
		if (strncmp(commands[i]->name, word, len) != 0 || commands[i]->name[len] != ' ')
			continue;
		half = true;
		output_error("did you mean: recsealctl %s %s", commands[i]->name,
				commands[i]->synopsis);
	}
	if (!half)
		output_error("there is no command %s; see recsealctl --help", word);
	return CLI_USAGE;
}

static enum cli_exit check_options(const struct command *command, const struct options *options)
{
	unsigned excess = options_bits(options) & ~(command->options | OPTIONS_GLOBAL);

	for (int i = 0; i < OPTION_MAX; i++) {
		if (!(excess & OPTION_BIT(i)))
			continue;
		output_error("%s does not take --%s; see recsealctl %s --help", command->name,
				option_specs[i].name, command->name);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

static enum cli_exit check_operands(const struct command *command, size_t n)
{
	if (n >= command->min_operands && n <= command->max_operands)
		return CLI_DONE;
	output_error("%s: %s; usage: recsealctl %s %s", command->name,
			n < command->min_operands ? "something is missing" : "too many words",
			command->name, command->synopsis);
	return CLI_USAGE;
}

static enum cli_exit run_command(
		const struct command *command, const struct options *options, size_t taken)
{
	const struct arguments arguments = {
			.options = options,
			.operands = (const char *const *)options->words + taken,
			.n_operands = options->n_words - taken,
	};
	enum cli_exit e = check_options(command, options);

	if (e == CLI_DONE)
		e = check_operands(command, arguments.n_operands);
	return e == CLI_DONE ? command->run(&arguments) : e;
}

static enum cli_exit run(const struct options *options)
{
	size_t taken = 0;
	const struct command *command = find_command(options, &taken);

	if (options_given(options, OPTION_VERSION)) {
		puts("recsealctl " VERSION);
		return CLI_DONE;
	}
	if (options_given(options, OPTION_HELP) && (command || options->n_words == 0)) {
		if (command)
			print_command(command, stdout);
		else
			print_overview(stdout);
		return CLI_DONE;
	}
	if (options->n_words == 0) {
		print_overview(stderr);
		return CLI_USAGE;
	}
	return command ? run_command(command, options, taken) : refuse_words(options);
}

int main(int argc, char **argv)
{
	struct options options;
	int r = secret_process_init();

	if (r < 0) {
		output_error("cannot make this process fit to hold keys: %s", error_text(r));
		return CLI_ERROR;
	}
	enum cli_exit e = options_parse(argc, argv, &options);
	if (e != CLI_DONE)
		return e;
	e = output_finish(run(&options));
	options_free(&options);
	return e;
}
