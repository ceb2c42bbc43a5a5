/* Exit codes of recsealctl, as its manual promises them. */
#pragma once

enum cli_exit {
	CLI_DONE = 0,
	CLI_ERROR = 1,
	CLI_USAGE = 2,
	CLI_REFUSED = 3,   /* policy forbids it, or the caller has no role for it */
	CLI_NOT_FOUND = 4, /* the vault has no such recording or account */
	CLI_GONE = 5,      /* it was shredded */
};
