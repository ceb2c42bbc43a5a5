#include "daemon/intake/spool/account_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/durable.h"

void account_map_clear(struct account_map *map)
{
	free(map->text);
	*map = (struct account_map){0};
}

static bool is_current(const struct account_map *map, const struct stat *st)
{
	return map->text && map->mtime_s == st->st_mtim.tv_sec &&
	       map->mtime_ns == st->st_mtim.tv_nsec && map->size == st->st_size &&
	       map->inode == (long long)st->st_ino;
}

static int read_map(struct account_map *map, int fd, const struct stat *st)
{
	size_t n;

	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	if (st->st_size > ACCOUNT_MAP_BYTES_MAX)
		return -EFBIG;
	char *text = malloc((size_t)st->st_size + 1);
	int r = text ? io_pread_full(fd, text, (size_t)st->st_size, 0, &n) : -ENOMEM;
	if (r < 0) {
		free(text);
		return r;
	}
	text[n] = '\0';
	map->text = text;
	map->mtime_s = st->st_mtim.tv_sec;
	map->mtime_ns = st->st_mtim.tv_nsec;
	map->size = st->st_size;
	map->inode = (long long)st->st_ino;
	return 0;
}

static bool is_fresh(const struct stat *st, int64_t now_us)
{
	int64_t age_us = now_us - st->st_mtim.tv_sec * US_PER_S - st->st_mtim.tv_nsec / 1000;

	return age_us < US_PER_S && age_us > -US_PER_S;
}

static int refresh(struct account_map *map, const char *path, int64_t now_us)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (is_current(map, &st))
		return 0;
	if (is_fresh(&st, now_us))
		return ACCOUNT_MAP_FRESH;
	free(map->text);
	map->text = NULL;
	return read_map(map, fd, &st);
}

static size_t trimmed(const char *text, size_t len)
{
	while (len > 0 && strchr(" \t\r", text[len - 1]))
		len--;
	return len;
}

/* The account of a line that is about this key; NULL when it is not. */
static const char *line_value(const char *line, size_t len, const char *key, size_t *ret_len)
{
	size_t lead = strspn(line, " \t");
	const char *equals = lead < len ? memchr(line + lead, '=', len - lead) : NULL;

	if (!equals || line[lead] == '#')
		return NULL;
	size_t key_len = trimmed(line + lead, (size_t)(equals - line) - lead);
	if (key_len != strlen(key) || memcmp(line + lead, key, key_len) != 0)
		return NULL;
	const char *value = equals + 1 + strspn(equals + 1, " \t");
	const char *end = line + len;
	*ret_len = value < end ? trimmed(value, (size_t)(end - value)) : 0;
	return value;
}

int account_map_find(struct account_map *map, const char *path, const char *key, int64_t now_us,
		char **ret_account)
{
	int r = refresh(map, path, now_us);
	size_t len, value_len;

	if (r != 0)
		return r;
	for (const char *line = map->text; *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		const char *value = line_value(line, len, key, &value_len);
		if (!value || value_len == 0)
			continue;
		*ret_account = strndup(value, value_len);
		return *ret_account ? 0 : -ENOMEM;
	}
	return ACCOUNT_MAP_UNKNOWN;
}
