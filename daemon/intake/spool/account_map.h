/* AccountMap=: the account of a bridge's room, domain or tenant. A key that is not in the file has
 * no account.
 *
 * One "key = account" a line; the key ends at the first "="; blanks around either do not count;
 * lines that begin with # are comments. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_MAP_BYTES_MAX (1024 * 1024)

struct account_map {
	char *text; /* the file; NULL: not read yet */
	long long mtime_s, mtime_ns, size, inode;
};

/* Looks a key up, and reads the file again when it has changed. Malloc'd. 0; ACCOUNT_MAP_FRESH when
 * somebody has written to the file within the last second, and may not have finished;
 * ACCOUNT_MAP_UNKNOWN when the key is not in the file; -errno when the file cannot be read (-EFBIG:
 * too large), and then an earlier content does not count. */
enum { ACCOUNT_MAP_FRESH = 1, ACCOUNT_MAP_UNKNOWN };
int account_map_find(struct account_map *map, const char *path, const char *key, int64_t now_us,
		char **ret_account);
void account_map_clear(struct account_map *map);
