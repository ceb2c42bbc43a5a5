/* A command of recsealctl. Each is one object in its own file; cli/main.c lists them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/exit.h"
#include "cli/options.h"

struct arguments {
	const struct options *options;
	const char *const *operands; /* the words after the command's name */
	size_t n_operands;
};

#define OPERANDS_ANY ((size_t)-1)

struct command {
	const char *name;     /* one or two words */
	const char *synopsis; /* operands and options, as the help shows them */
	const char *summary;  /* a phrase for the overview */
	const char *help;     /* what it does, in lines */
	const char *examples;
	size_t min_operands, max_operands;
	unsigned options; /* OPTION_BITs it takes besides OPTIONS_GLOBAL */

	/* Runs it; an error has been told on stderr. */
	enum cli_exit (*run)(const struct arguments *arguments);
};

extern const struct command command_status, command_list, command_show, command_play,
		command_verify, command_account_list, command_account_show, command_shred_account,
		command_shred_recording, command_quarantine_assign, command_doctor,
		command_root_show, command_root_test, command_root_add, command_root_replace,
		command_root_drop;

/* The text of --reason, or NULL, told, when it is missing or empty. */
const char *command_reason(const struct command *command, const struct arguments *arguments);

/* Whether text from the command line is UTF-8; told when not: the interface cannot carry it. */
bool command_utf8(const char *what, const char *text);

static inline bool command_json(const struct arguments *arguments)
{
	return options_given(arguments->options, OPTION_JSON);
}
