#include "daemon/intake/source/aside.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PREFIX     ".recseal-"
#define HEX_DIGITS 16
#define NAME_AT    (sizeof(PREFIX) - 1 + HEX_DIGITS + 1 + HEX_DIGITS + 1)

void aside_make(const char *name, char ret_name[static ASIDE_NAME_BYTES])
{
	struct aside aside = {.name = name};
	uint64_t random[2];

	(void)aside_read(name, &aside);
	size_t len = strlen(aside.name), room = ASIDE_NAME_BYTES - 1 - NAME_AT;
	/* The own name comes last, and is cut at its beginning: its end has the extension, by which
	 * profiles know a recording. */
	randombytes_buf(random, sizeof(random));
	snprintf(ret_name, ASIDE_NAME_BYTES, PREFIX "%016" PRIx64 "-%016" PRIx64 "-%s", random[0],
			random[1], len > room ? aside.name + len - room : aside.name);
}

static bool aside_has_hex(const char *text)
{
	return strspn(text, "0123456789abcdef") == HEX_DIGITS && text[HEX_DIGITS] == '-';
}

bool aside_read(const char *name, struct aside *ret_aside)
{
	const char *first = name + sizeof(PREFIX) - 1, *second = first + HEX_DIGITS + 1;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 || !aside_has_hex(first) ||
			!aside_has_hex(second) || !name[NAME_AT])
		return false;
	*ret_aside = (struct aside){.name = name + NAME_AT};
	return true;
}

const char *aside_path(const char *path, char buf[static PATH_MAX])
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct aside aside;

	if (!aside_read(name, &aside) || strlen(path) >= PATH_MAX)
		return path;
	snprintf(buf, PATH_MAX, "%.*s%s", (int)(name - path), path, aside.name);
	return buf;
}
