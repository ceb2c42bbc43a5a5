#include "daemon/common/config/config_path.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Whether the component at p of n characters is "." or "..". */
static bool is_dots(const char *p, size_t n)
{
	return (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
}

char *config_path_clean(const char *path)
{
	if (*path != '/') {
		errno = EINVAL;
		return NULL;
	}
	char *clean = malloc(strlen(path) + 1), *out = clean;
	if (!clean)
		return NULL;
	for (;;) {
		path += strspn(path, "/");
		size_t n = strcspn(path, "/");
		if (n == 0)
			break;
		if (is_dots(path, n)) {
			free(clean);
			errno = EINVAL;
			return NULL;
		}
		*out++ = '/';
		memcpy(out, path, n);
		out += n;
		path += n;
	}
	if (out == clean)
		*out++ = '/';
	*out = '\0';
	return clean;
}

/* Follows the links of the longest part of an absolute path that exists; the rest stays as it is
 * written. */
static char *resolve_links(const char *path)
{
	_cleanup_free_ char *head = strdup(path);

	if (!head)
		return NULL;
	for (size_t n = strlen(head);;) {
		_cleanup_free_ char *real = realpath(n > 0 ? head : "/", NULL);
		char *whole = NULL;
		if (real) {
			const char *start = strcmp(real, "/") == 0 ? "" : real;
			return asprintf(&whole, "%s%s", start, path + n) < 0 ? NULL : whole;
		}
		if (errno == ENOMEM || n == 0)
			return NULL;
		while (n > 0 && head[--n] != '/')
			;
		head[n] = '\0';
	}
}

char *config_path_absolute(const char *path)
{
	_cleanup_free_ char *cwd = NULL, *joined = NULL, *resolved = NULL;

	if (*path == '\0') {
		errno = EINVAL;
		return NULL;
	}
	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&joined, "%s/%s", cwd, path) < 0)
			return NULL;
		path = joined;
	}
	char *clean = config_path_clean(path);
	if (clean || errno != EINVAL)
		return clean;
	resolved = resolve_links(path);
	return resolved ? config_path_clean(resolved) : NULL;
}

/* Whether inner is outer or lies below it. */
static bool is_path_below(const char *inner, const char *outer)
{
	size_t n = strlen(outer);

	if (strcmp(outer, "/") == 0)
		return true;
	return strncmp(inner, outer, n) == 0 && (inner[n] == '/' || inner[n] == '\0');
}

int config_path_overlap(const char *a, const char *b)
{
	_cleanup_free_ char *real_a = resolve_links(a), *real_b = resolve_links(b);

	if (!real_a || !real_b)
		return -ENOMEM;
	return is_path_below(real_a, real_b) || is_path_below(real_b, real_a);
}
