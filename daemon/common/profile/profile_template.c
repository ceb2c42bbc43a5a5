#include "daemon/common/profile/profile_template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char meta_prefix[] = "meta.";

bool profile_template_next(
		const char **at, const char *end, struct profile_template_variable *ret_variable)
{
	const char *open = memchr(*at, '{', (size_t)(end - *at));
	const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;

	if (!close)
		return false;
	*at = close + 1;
	ret_variable->name = open + 1;
	ret_variable->len = (size_t)(close - open) - 1;
	return true;
}

static bool variable_is(const struct profile_template_variable *variable, const char *wanted)
{
	return strlen(wanted) == variable->len &&
	       memcmp(variable->name, wanted, variable->len) == 0;
}

bool profile_template_is_meta(const struct profile_template_variable *variable)
{
	return variable->len >= sizeof(meta_prefix) &&
	       memcmp(variable->name, meta_prefix, sizeof(meta_prefix) - 1) == 0;
}

bool profile_template_is_own(const struct profile_template_variable *variable)
{
	return variable_is(variable, "name") || variable_is(variable, "stem");
}

/* ---- Parts of a URL ---- */

/* "tenant/room" of "https://host/tenant/room?x#y". NULL for none. */
static const char *url_path(const char *url, size_t *ret_len)
{
	const char *host = strstr(url, "://");
	const char *path = host ? host + 3 + strcspn(host + 3, "/?#") : "";

	path += strspn(path, "/");
	*ret_len = strcspn(path, "?#");
	while (*ret_len > 0 && path[*ret_len - 1] == '/')
		--*ret_len;
	return *ret_len > 0 ? path : NULL;
}

/* "host" of "https://user@host:443/room". NULL for none. */
static const char *url_host(const char *url, size_t *ret_len)
{
	const char *host = strstr(url, "://");
	const char *end = host ? host + 3 + strcspn(host + 3, "/?#") : NULL;
	const char *user = host ? memchr(host, '@', (size_t)(end - host)) : NULL;

	if (!host)
		return NULL;
	host = user ? user + 1 : host + 3;
	*ret_len = *host == '[' ? strcspn(host, "]/?#") + 1 : strcspn(host, ":/?#");
	if (host + *ret_len > end)
		return NULL;
	return *ret_len > 0 ? host : NULL;
}

static const struct {
	const char *name;
	const char *(*part)(const char *url, size_t *ret_len);
} forms[] = {{"path", url_path}, {"host", url_host}};

/* The colon before a form; NULL when there is none. */
static const char *variable_colon(const struct profile_template_variable *variable)
{
	return memchr(variable->name, ':', variable->len);
}

/* The index of the form, or ELEMENTSOF(forms). */
static size_t form_find(const struct profile_template_variable *variable, const char *colon)
{
	const struct profile_template_variable form = {
			colon + 1, (size_t)(variable->name + variable->len - colon) - 1};
	size_t i = 0;

	while (i < ELEMENTSOF(forms) && !variable_is(&form, forms[i].name))
		i++;
	return i;
}

bool profile_template_is_formed(const struct profile_template_variable *variable)
{
	const char *colon = variable_colon(variable);

	return !colon || form_find(variable, colon) < ELEMENTSOF(forms);
}

/* ---- Values ---- */

static const char *name_in_path(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool meta_put(FILE *f, const struct profile_template_values *values,
		const struct profile_template_variable *variable)
{
	const char *key = variable->name + sizeof(meta_prefix) - 1;
	const char *end = variable->name + variable->len, *colon = variable_colon(variable);
	size_t form = colon ? form_find(variable, colon) : 0, len;

	if (!values->meta || form == ELEMENTSOF(forms))
		return false;
	_cleanup_free_ char *text =
			values->meta(values->context, key, (size_t)((colon ? colon : end) - key));
	if (!text)
		return false;
	const char *part = colon ? forms[form].part(text, &len) : text;
	if (!colon)
		len = strlen(text);
	return part && len > 0 && fwrite(part, 1, len, f) == len;
}

/* Writes one value; false when there is none. */
static bool value_put(FILE *f, const struct profile_template_values *values,
		const struct profile_template_variable *variable)
{
	const char *value = name_in_path(values->path);
	size_t len = strlen(value);

	if (variable_is(variable, "stem")) {
		const char *dot = strrchr(value, '.');
		len = dot && dot > value ? (size_t)(dot - value) : len;
	} else if (profile_template_is_meta(variable)) {
		return meta_put(f, values, variable);
	} else if (!variable_is(variable, "name")) {
		value = pattern_value(values->match, variable->name, variable->len, &len);
	}
	return value && fwrite(value, 1, len, f) == len;
}

int profile_template_expand(const char *text, size_t len,
		const struct profile_template_values *values, char **ret_text)
{
	const char *at = text, *next = text, *end = text + len;
	struct profile_template_variable variable;
	char *expanded = NULL;
	size_t size;
	FILE *f = open_memstream(&expanded, &size);
	bool all = true;

	if (!f)
		return -ENOMEM;
	while (all && profile_template_next(&next, end, &variable)) {
		fwrite(at, 1, (size_t)(variable.name - 1 - at), f);
		all = value_put(f, values, &variable);
		at = next;
	}
	fwrite(at, 1, (size_t)(end - at), f);
	int r = fclose(f) != 0 ? -ENOMEM : all ? 0 : -ENOENT;
	if (r < 0)
		free(expanded);
	else
		*ret_text = expanded;
	return r;
}
