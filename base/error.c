#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const phrases[RE_LAST - RE_FIRST] = {
		[RE_CORRUPT - RE_FIRST] = "stored data is corrupt",
		[RE_HEADER - RE_FIRST] = "malformed age header",
		[RE_HEADER_MAC - RE_FIRST] = "age header was altered (MAC mismatch)",
		[RE_PAYLOAD - RE_FIRST] = "age payload is damaged or incomplete",
		[RE_NO_MATCH - RE_FIRST] = "no key opens this file",
		[RE_EPOCH - RE_FIRST] = "root slot and database are of different epochs",
		[RE_MOVED - RE_FIRST] = "root slot file is a copy of another one",
		[RE_NO_ROOT - RE_FIRST] = "no root slot can be read",
		[RE_GONE - RE_FIRST] = "key was destroyed",
		[RE_REFUSED - RE_FIRST] = "refused by policy",
		[RE_BUSY - RE_FIRST] = "in use by another process",
		[RE_PROTOCOL - RE_FIRST] = "peer broke the protocol",
		[RE_CONFIG - RE_FIRST] = "invalid configuration",
		[RE_NOT_ERASED - RE_FIRST] = "a destroyed key could still be opened",
		[RE_MLOCK - RE_FIRST] = "memory for secrets could not be locked",
		[RE_AWAY - RE_FIRST] = "a mirror of the root cannot be reached",
		[RE_UNKNOWN - RE_FIRST] =
				("not known whether this was carried out: the disk failed while "
				 "it was written; the keeper restarts and finds out"),
		[RE_ALTERED - RE_FIRST] = ("keeper.db was altered outside the keeper; "
					   "recsealctl doctor names what"),
};

const char *error_text(int r)
{
	int code = abs(r);

	if (code >= RE_FIRST && code < RE_LAST)
		return phrases[code - RE_FIRST];
	if (code == ENOMEDIUM) /* objects_place.h, and nobody else */
		return "the folder of objects is not there; recsealctl doctor says more";
	return strerror(code);
}
