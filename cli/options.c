#include "cli/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"

const struct option_spec option_specs[OPTION_MAX] = {
		[OPTION_ACCOUNT] = {"account", 0, "A", "this account: its name or its handle"},
		[OPTION_STATE] = {"state", 0, "S", "only this state: " OUTPUT_STATES},
		[OPTION_SINCE] = {"since", 0, "T",
				"recorded at or after this time (RFC 3339, or a date)"},
		[OPTION_UNTIL] = {"until", 0, "T", "recorded before this time"},
		[OPTION_OUTPUT] = {"output", 'o', "FILE", "write to a new file of mode 0600"},
		[OPTION_REASON] = {"reason", 0, "TEXT", "why, for the audit trail"},
		[OPTION_ALL] = {"all", 0, NULL, "every recording that still has its key"},
		[OPTION_DRY_RUN] = {"dry-run", 0, NULL, "show what would be destroyed, and stop"},
		[OPTION_YES] = {"yes", 0, NULL, "do not ask for confirmation"},
		[OPTION_FILE] = {"file", 0, "DIR", "in a file in this directory, on other media"},
		[OPTION_TPM2] = {"tpm2", 0, "TCTI", "in this TPM: a device, or a TCTI string"},
		[OPTION_JSON] = {"json", 0, NULL, "print JSON"},
		[OPTION_SOCKET] = {"socket", 0, "PATH",
				"the keeper's control socket (or RECSEAL_SOCKET; " OPTIONS_DEFAULT_SOCKET
				")"},
		[OPTION_HELP] = {"help", 'h', NULL, "show this help"},
		[OPTION_VERSION] = {"version", 'V', NULL, "show the version"},
};

#define VALUE_FIRST_LONG 256 /* above every letter */

static void make_long_options(struct option long_options[static OPTION_MAX + 1])
{
	for (int i = 0; i < OPTION_MAX; i++)
		long_options[i] = (struct option){
				.name = option_specs[i].name,
				.has_arg = option_specs[i].argument ? required_argument
								    : no_argument,
				.val = VALUE_FIRST_LONG + i,
		};
	long_options[OPTION_MAX] = (struct option){0};
}

/* The option that getopt's value stands for, or OPTION_MAX. */
static enum option_id option_of(int value)
{
	if (value >= VALUE_FIRST_LONG && value < VALUE_FIRST_LONG + OPTION_MAX)
		return (enum option_id)(value - VALUE_FIRST_LONG);
	for (int i = 0; i < OPTION_MAX; i++) {
		if (option_specs[i].letter && option_specs[i].letter == value)
			return (enum option_id)i;
	}
	return OPTION_MAX;
}

static enum cli_exit take_option(
		struct options *options, enum option_id option, const char *argument)
{
	if (options->value[option]) {
		output_error("--%s is given twice", option_specs[option].name);
		return CLI_USAGE;
	}
	options->value[option] = option_specs[option].argument ? argument : "";
	return CLI_DONE;
}

static enum cli_exit refuse_option(int value, const char *text)
{
	if (value == ':')
		output_error("%s needs an argument; see recsealctl --help", text);
	else
		output_error("there is no option %s here, or it is cut too short; see recsealctl "
			     "--help",
				text);
	return CLI_USAGE;
}

/* One value of getopt_long(): an option, or (1) a word. */
static enum cli_exit take_value(struct options *options, int value, char **argv)
{
	enum option_id option = option_of(value);

	if (option < OPTION_MAX)
		return take_option(options, option, optarg);
	if (value != 1)
		return refuse_option(value, argv[optind - 1]);
	options->words[options->n_words++] = optarg;
	return CLI_DONE;
}

enum cli_exit options_parse(int argc, char **argv, struct options *ret_options)
{
	struct option long_options[OPTION_MAX + 1];
	struct options options = {.words = calloc((size_t)argc + 1, sizeof(char *))};
	enum cli_exit e = CLI_DONE;
	int value;

	if (!options.words)
		return output_oom();
	make_long_options(long_options);
	optind = 0; /* glibc: start afresh */
	opterr = 0;
	/* "-" hands out words in their order, whatever POSIXLY_CORRECT says. */
	while (e == CLI_DONE &&
			(value = getopt_long(argc, argv, "-:o:hV", long_options, NULL)) != -1)
		e = take_value(&options, value, argv);
	while (e == CLI_DONE && optind < argc)
		options.words[options.n_words++] = argv[optind++];
	if (e != CLI_DONE) {
		options_free(&options);
		return e;
	}
	*ret_options = options;
	return CLI_DONE;
}

void options_free(struct options *options)
{
	free(options->words);
	*options = (struct options){0};
}

unsigned options_bits(const struct options *options)
{
	unsigned bits = 0;

	for (int i = 0; i < OPTION_MAX; i++)
		bits |= options->value[i] ? OPTION_BIT(i) : 0;
	return bits;
}

const char *options_socket(const struct options *options)
{
	const char *environment = getenv("RECSEAL_SOCKET");

	if (options->value[OPTION_SOCKET])
		return options->value[OPTION_SOCKET];
	return environment && *environment ? environment : OPTIONS_DEFAULT_SOCKET;
}

enum cli_exit options_time(const struct options *options, enum option_id option, char **ret_text)
{
	const char *value = options->value[option];
	char text[RFC3339_BYTES];
	int64_t t_us;

	if (!value)
		return CLI_DONE;
	if (clock_parse_rfc3339(value, &t_us) < 0) {
		output_error("--%s %s is not a time: give 2026-11-23, or 2026-11-23T09:01:20Z, or "
			     "with a zone such as +01:00",
				option_specs[option].name, value);
		return CLI_USAGE;
	}
	clock_format_rfc3339(t_us, text);
	char *copy = strdup(text);
	if (!copy)
		return output_oom();
	*ret_text = copy;
	return CLI_DONE;
}
