#include "cli/command.h"

#include <string.h>

#include "base/text.h"
#include "cli/output.h"

const char *command_reason(const struct command *command, const struct arguments *arguments)
{
	const char *reason = arguments->options->value[OPTION_REASON];

	if (reason && *reason)
		return reason;
	output_error("%s needs --reason TEXT: it is kept in the audit trail", command->name);
	return NULL;
}

bool command_utf8(const char *what, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t len = strlen(text);

	while (len > 0) {
		size_t n = text_utf8_sequence(p, len);
		if (n == 0) {
			output_error("the %s is not valid UTF-8: give it as recsealctl shows it",
					what);
			return false;
		}
		p += n;
		len -= n;
	}
	return true;
}
