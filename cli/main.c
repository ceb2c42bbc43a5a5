/* recsealctl: the administrator's view of a recseal vault, over its control socket.
 *
 * main() parses the command line, finds the command's row (cli/command_table.c), checks the line
 * against the row and runs the row's function. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/output.h"

static bool is_group_name(const char *word)
{
	for (const struct command *command = command_table; command->name; command++) {
		if (command_in_group(command, word))
			return true;
	}
	return false;
}

/* "account" alone is half a command, and so is "account frob": show what the group has. */
static enum cli_exit refuse_words(const struct options *options)
{
	const char *word = options->words[0];

	if (!is_group_name(word)) {
		output_error("unknown command \"%s\"; see recsealctl --help", word);
		return CLI_USAGE;
	}
	if (options->n_words == 1)
		output_error("incomplete command \"%s\"; its commands are:", word);
	else
		output_error("unknown command \"%s %s\"; the commands of %s are:", word,
				options->words[1], word);
	help_group(word, stderr);
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

static enum cli_exit check_operands(const struct arguments *arguments)
{
	const struct command *command = arguments->command;

	if (arguments->n_operands < command->min_operands)
		output_error("%s: missing argument; usage: recsealctl %s %s", command->name,
				command->name, command->synopsis);
	else if (arguments->n_operands > command->max_operands)
		output_error("%s: unexpected argument \"%s\"; usage: recsealctl %s %s",
				command->name, arguments->operands[command->max_operands],
				command->name, command->synopsis);
	else
		return CLI_DONE;
	return CLI_USAGE;
}

static enum cli_exit run_command(
		const struct command *command, const struct options *options, size_t name_words)
{
	const struct arguments arguments = {
			.command = command,
			.options = options,
			.operands = options->words + name_words,
			.n_operands = options->n_words - name_words,
	};
	enum cli_exit e = check_options(command, options);

	if (e == CLI_DONE)
		e = check_operands(&arguments);
	return e == CLI_DONE ? command->run(&arguments) : e;
}

static enum cli_exit run_words(const struct options *options)
{
	size_t name_words = 0;
	const struct command *command = command_find(options->words, options->n_words, &name_words);

	if (options_given(options, OPTION_VERSION)) {
		puts("recsealctl " VERSION);
		return CLI_DONE;
	}
	if (options->n_words == 0) {
		bool asked = options_given(options, OPTION_HELP);
		help_overview(asked ? stdout : stderr);
		return asked ? CLI_DONE : CLI_USAGE;
	}
	if (!command)
		return refuse_words(options);
	if (options_given(options, OPTION_HELP)) {
		help_command(command, stdout);
		return CLI_DONE;
	}
	return run_command(command, options, name_words);
}

int main(int argc, char **argv)
{
	struct options options;
	int r = secret_process_init();

	if (r < 0) {
		output_error("cannot protect this process's memory, which will hold keys: %s",
				error_text(r));
		return CLI_ERROR;
	}
	enum cli_exit e = options_parse(argc, argv, &options);
	if (e != CLI_DONE)
		return (int)e;
	e = output_finish(run_words(&options));
	options_free(&options);
	return (int)e;
}
