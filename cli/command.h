/* The commands of recsealctl: one row each, all in cli/command_table.c.
 *
 * The rows are all there is to know of a command: main() dispatches by them, --help prints them
 * (cli/help.c), bash completes from them (cli/completion.c), and the SYNOPSIS of recsealctl(1) is
 * held against them by tests/unit/cli/test_cli_table.c.
 *
 * A new command is: its row; its function in cli/cmd_GROUP.c, declared below; a SYNOPSIS line and a
 * paragraph in man/recsealctl.1; a test. A new option is its row in cli/options.c and its name in
 * enum option_id, and an item in the manual's list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/exit.h"
#include "cli/options.h"

struct command;

/* A command line that its row has accepted: the options are known to it, and the number of
 * operands is right. */
struct arguments {
	const struct command *command;
	const struct options *options;
	const char *const *operands; /* the words after the command's name */
	size_t n_operands;
};

/* Runs a command. An error has been printed on stderr when it returns. */
typedef enum cli_exit command_function(const struct arguments *arguments);

#define COMMAND_OPERANDS_ANY ((size_t)-1)

struct command {
	const char *name;     /* a verb, or a group and a verb: "list", "account list" */
	const char *synopsis; /* operands and options, as --help and the manual show them */
	const char *summary;  /* a phrase for the overview */
	const char *help;     /* what it does, in lines */
	const char *examples; /* in lines */
	size_t min_operands, max_operands;
	unsigned options; /* OPTION_BITs it takes besides OPTIONS_GLOBAL */
	command_function *run;
};

/* Ends with a row without a name. */
extern const struct command command_table[];

/* The row that the words begin with, and how many words its name took; or NULL. */
const struct command *command_find(
		const char *const *words, size_t n_words, size_t *ret_name_words);

/* How long the group's name is at the start of the row's; 0 for a verb without a group. */
size_t command_group_chars(const struct command *command);

/* Whether the row's command belongs to this group. */
bool command_in_group(const struct command *command, const char *group);

/* The text of --reason; or NULL, after an error message, when it is missing or empty. */
const char *command_reason(const struct arguments *arguments);

/* The reason of a verification that gives none. */
#define COMMAND_VERIFY_REASON "integrity check"

/* Whether text from the command line is UTF-8, which the interface needs; false comes with an error
 * message that calls the text by its name. */
bool command_utf8(const char *name, const char *text);

static inline bool command_json(const struct arguments *arguments)
{
	return options_given(arguments->options, OPTION_JSON);
}

/* What the rows run: cmd_GROUP_VERB() is in cli/cmd_GROUP.c. */
command_function cmd_status;
command_function cmd_doctor;
command_function cmd_list;
command_function cmd_show;
command_function cmd_play;
command_function cmd_verify;
command_function cmd_account_list;
command_function cmd_account_show;
command_function cmd_account_allow;
command_function cmd_quarantine_assign;
command_function cmd_shred_account;
command_function cmd_shred_recording;
command_function cmd_root_show;
command_function cmd_root_test;
command_function cmd_root_add;
command_function cmd_root_replace;
command_function cmd_root_drop;
command_function cmd_clock_confirm;
command_function cmd_spool_plan;
command_function cmd_spool_accept;
