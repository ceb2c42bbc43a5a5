#include "cli/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/output.h"

#define STATES "sealed, quarantined, pending, destroyed, expired"

const struct option_spec option_specs[OPTION_MAX] = {
		[OPTION_ACCOUNT] = {.name = "account",
				.argument = "ACCOUNT",
				.help = "an account, by its name or its handle"},
		[OPTION_STATE] = {.name = "state",
				.argument = "STATE",
				.help = "only this state: " STATES,
				.choices = STATES},
		[OPTION_SINCE] = {.name = "since",
				.argument = "TIME",
				.help = "recorded at or after this time (RFC 3339, or a date)"},
		[OPTION_UNTIL] = {.name = "until",
				.argument = "TIME",
				.help = "recorded before this time"},
		[OPTION_OUTPUT] = {.name = "output",
				.letter = 'o',
				.argument = "FILE",
				.help = "write to a new file of mode 0600",
				.completion = OPTION_COMPLETES_FILES},
		[OPTION_REASON] = {.name = "reason",
				.argument = "TEXT",
				.help = "why; the audit trail keeps it"},
		[OPTION_FILE] = {.name = "file",
				.argument = "DIRECTORY",
				.help = "keep the root in a file in this directory, on other media",
				.completion = OPTION_COMPLETES_FOLDERS},
		[OPTION_TPM2] = {.name = "tpm2",
				.argument = "TCTI",
				.help = "keep the root in this TPM: a device, or a TCTI string"},
		[OPTION_PROFILE] = {.name = "profile",
				.argument = "PROFILE",
				.help = "the bridge that leaves its files there: directory, "
					"freeswitch ..."},
		[OPTION_CONFIG] = {.name = "config",
				.argument = "FILE",
				.help = "the daemons' configuration, if it is not the installed "
					"one",
				.completion = OPTION_COMPLETES_FILES},
		[OPTION_ALL] = {.name = "all", .help = "every recording that still has its key"},
		[OPTION_WITH_PARTS] = {.name = "with-parts",
				.help = "the other parts of the recording as well"},
		[OPTION_DRY_RUN] = {.name = "dry-run",
				.help = "show what would be destroyed, and stop"},
		[OPTION_YES] = {.name = "yes", .help = "do not ask for confirmation"},
		[OPTION_VERBOSE] = {.name = "verbose", .help = "print a line for each file"},
		[OPTION_JSON] = {.name = "json", .help = "print JSON"},
		[OPTION_SOCKET] = {.name = "socket",
				.argument = "PATH",
				.help = "the keeper's control socket; otherwise RECSEAL_SOCKET,\n"
					"                         or " OPTIONS_DEFAULT_SOCKET,
				.completion = OPTION_COMPLETES_FILES},
		[OPTION_HELP] = {.name = "help", .letter = 'h', .help = "show this help"},
		[OPTION_VERSION] = {.name = "version", .letter = 'V', .help = "show the version"},
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

/* getopt's "-" returns words in their order, even with POSIXLY_CORRECT; ":" makes a missing
 * argument and an unknown option two different errors. */
static void make_short_options(char short_options[static 2 * OPTION_MAX + 3])
{
	char *out = stpcpy(short_options, "-:");

	for (int i = 0; i < OPTION_MAX; i++) {
		if (!option_specs[i].letter)
			continue;
		*out++ = option_specs[i].letter;
		if (option_specs[i].argument)
			*out++ = ':';
	}
	*out = '\0';
}

/* The option that getopt's value stands for, or OPTION_MAX. */
static enum option_id find_option(int value)
{
	if (value >= VALUE_FIRST_LONG && value < VALUE_FIRST_LONG + OPTION_MAX)
		return (enum option_id)(value - VALUE_FIRST_LONG);
	for (int i = 0; i < OPTION_MAX; i++) {
		if (option_specs[i].letter && option_specs[i].letter == value)
			return (enum option_id)i;
	}
	return OPTION_MAX;
}

/* Whether text is one of "a, b, c". */
static bool is_choice(const char *choices, const char *text)
{
	for (size_t len; *choices; choices += strspn(choices, ", ")) {
		len = strcspn(choices, ",");
		if (strlen(text) == len && memcmp(choices, text, len) == 0)
			return true;
		choices += len;
	}
	return false;
}

static enum cli_exit take_option(
		struct options *options, enum option_id option, const char *argument)
{
	const struct option_spec *spec = &option_specs[option];

	if (options->value[option]) {
		output_error("--%s is given twice; give it once", spec->name);
		return CLI_USAGE;
	}
	if (spec->choices && !is_choice(spec->choices, argument)) {
		output_error("unknown %s \"%s\"; use one of: %s", spec->name, argument,
				spec->choices);
		return CLI_USAGE;
	}
	options->value[option] = spec->argument ? argument : "";
	return CLI_DONE;
}

/* How many options' names begin with text. */
static size_t count_abbreviated(const char *text)
{
	size_t n = 0;

	for (int i = 0; i < OPTION_MAX; i++)
		n += strncmp(option_specs[i].name, text, strlen(text)) == 0;
	return n;
}

static enum cli_exit refuse_option(int value, const char *text)
{
	/* getopt leaves the option that it could not use in optopt; 0 for an unknown long one. */
	const enum option_id known = find_option(optopt);

	if (value == ':')
		output_error("--%s needs an argument (%s); see recsealctl --help",
				option_specs[known].name, option_specs[known].argument);
	else if (known < OPTION_MAX)
		output_error("--%s takes no argument; see recsealctl --help",
				option_specs[known].name);
	else if (strncmp(text, "--", 2) == 0 && count_abbreviated(text + 2) > 1)
		output_error("\"%s\" could be several options; write the name in full", text);
	else if (optopt != 0) /* a letter; text may be a bundle of several */
		output_error("unknown option \"-%c\"; see recsealctl --help", optopt);
	else
		output_error("unknown option \"%s\"; see recsealctl --help", text);
	return CLI_USAGE;
}

/* One value of getopt_long(): an option, or (1) a word. */
static enum cli_exit take_value(struct options *options, int value, char **argv)
{
	enum option_id option = find_option(value);

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
	char short_options[2 * OPTION_MAX + 3];
	struct options options = {.words = calloc((size_t)argc + 1, sizeof(char *))};
	enum cli_exit e = CLI_DONE;
	int value;

	if (!options.words)
		return output_oom();
	make_long_options(long_options);
	make_short_options(short_options);
	optind = 0; /* glibc: forget any earlier command line */
	opterr = 0;
	while (e == CLI_DONE &&
			(value = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
		e = take_value(&options, value, argv);
	/* What follows "--" are words. */
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
		output_error("--%s: \"%s\" is not a time; write a date such as 2026-11-23, or "
			     "2026-11-23T09:01:20Z, or a zone such as +01:00 instead of Z",
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
