#include "daemon/intake/source/aside.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PREFIX     ".recseal-"
#define HEX_DIGITS 16
#define NAME_AT    (sizeof(PREFIX) - 1 + HEX_DIGITS + 1 + HEX_DIGITS + 1)

void aside_make(const char *name, int64_t ctime_ns, char ret_name[static ASIDE_NAME_BYTES])
{
	size_t len = strlen(name), room = ASIDE_NAME_BYTES - 1 - NAME_AT;
	uint64_t random;

	/* The own name comes last, and is cut at its beginning: its end has the extension, by which
	 * profiles know a recording. */
	randombytes_buf(&random, sizeof(random));
	snprintf(ret_name, ASIDE_NAME_BYTES, PREFIX "%016" PRIx64 "-%016" PRIx64 "-%s", random,
			(uint64_t)ctime_ns, len > room ? name + len - room : name);
}

static bool aside_read_hex(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (int i = 0; i < HEX_DIGITS; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
		if (!digit)
			return false;
		number = number << 4 | (uint64_t)(digit - digits);
	}
	*ret_number = number;
	return text[HEX_DIGITS] == '-';
}

bool aside_read(const char *name, struct aside *ret_aside)
{
	const char *random = name + sizeof(PREFIX) - 1, *ctime = random + HEX_DIGITS + 1;
	uint64_t number;

	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0 || !aside_read_hex(random, &number) ||
			!aside_read_hex(ctime, &number) || !name[NAME_AT])
		return false;
	*ret_aside = (struct aside){.ctime_ns = (int64_t)number, .name = name + NAME_AT};
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
