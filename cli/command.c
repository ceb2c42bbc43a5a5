#include "cli/command.h"

#include <string.h>

#include "base/text.h"
#include "cli/output.h"

size_t command_group_chars(const struct command *command)
{
	const char *space = strchr(command->name, ' ');

	return space ? (size_t)(space - command->name) : 0;
}

bool command_in_group(const struct command *command, const char *group)
{
	size_t chars = command_group_chars(command);

	return chars > 0 && strlen(group) == chars && memcmp(command->name, group, chars) == 0;
}

/* How many of the words are this row's name; 0 when they do not begin with it. */
static size_t count_name_words(
		const struct command *command, const char *const *words, size_t n_words)
{
	if (n_words == 0)
		return 0;
	if (command_group_chars(command) == 0)
		return strcmp(command->name, words[0]) == 0 ? 1 : 0;
	const char *verb = command->name + command_group_chars(command) + 1;
	return n_words >= 2 && command_in_group(command, words[0]) && strcmp(verb, words[1]) == 0
			       ? 2
			       : 0;
}

const struct command *command_find(const char *const *words, size_t n_words, size_t *ret_name_words)
{
	for (const struct command *command = command_table; command->name; command++) {
		size_t name_words = count_name_words(command, words, n_words);
		if (name_words > 0) {
			*ret_name_words = name_words;
			return command;
		}
	}
	return NULL;
}

const char *command_reason(const struct arguments *arguments)
{
	const char *reason = arguments->options->value[OPTION_REASON];

	if (reason && *reason)
		return reason;
	output_error("%s needs --reason TEXT: say why; the audit trail keeps it",
			arguments->command->name);
	return NULL;
}

bool command_utf8(const char *name, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t len = strlen(text);

	while (len > 0) {
		size_t n = text_utf8_sequence(p, len);
		if (n == 0) {
			output_error("the %s is not valid UTF-8; write it as recsealctl prints it",
					name);
			return false;
		}
		p += n;
		len -= n;
	}
	return true;
}
