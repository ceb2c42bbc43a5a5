/* The command line of recsealctl: options and words in any order; "--" ends the options. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/exit.h"

enum option_id {
	OPTION_ACCOUNT,
	OPTION_STATE,
	OPTION_SINCE,
	OPTION_UNTIL,
	OPTION_OUTPUT,
	OPTION_REASON,
	OPTION_FILE,
	OPTION_TPM2,
	OPTION_PROFILE,
	OPTION_CONFIG,
	OPTION_ALL,
	OPTION_WITH_PARTS,
	OPTION_DRY_RUN,
	OPTION_YES,
	OPTION_VERBOSE,
	OPTION_JSON,
	OPTION_SOCKET,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_MAX,
};

#define OPTION_BIT(option) (1U << (option))
#define OPTIONS_GLOBAL                                                                             \
	(OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_SOCKET) | OPTION_BIT(OPTION_HELP) |           \
			OPTION_BIT(OPTION_VERSION))

/* What bash offers for an option's argument, besides its choices. */
enum option_completion {
	OPTION_COMPLETES_NOTHING,
	OPTION_COMPLETES_FILES,
	OPTION_COMPLETES_FOLDERS,
};

/* An option's row: parsing, --help and bash completion all come from it. The order is that of
 * recsealctl(1). */
struct option_spec {
	const char *name;     /* without the dashes */
	char letter;          /* 0: has none */
	const char *argument; /* NULL: takes none */
	const char *help;
	const char *choices; /* the values it may have, as "a, b, c"; NULL: any */
	enum option_completion completion;
};
extern const struct option_spec option_specs[OPTION_MAX];

struct options {
	const char *value[OPTION_MAX]; /* NULL: not given; "" for an option without argument */
	const char **words;            /* everything else, in order; borrowed from argv */
	size_t n_words;
};

/* CLI_USAGE, after an error message, when the command line is wrong (also when an option is given
 * twice); then there is nothing to free. The strings stay argv's. */
enum cli_exit options_parse(int argc, char **argv, struct options *ret_options);
void options_free(struct options *options);

static inline bool options_given(const struct options *options, enum option_id option)
{
	return options->value[option] != NULL;
}

/* The options that were given, as bits. */
unsigned options_bits(const struct options *options);

/* --socket, else RECSEAL_SOCKET, else the installed path. */
#define OPTIONS_DEFAULT_SOCKET "/run/recseal/control"
const char *options_socket(const struct options *options);

/* An option's time in UTC, as text to free(); *ret_text is untouched when the option was not given.
 * CLI_USAGE, after an error message, when it is not a time. */
enum cli_exit options_time(const struct options *options, enum option_id option, char **ret_text);
