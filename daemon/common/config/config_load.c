#include "daemon/common/config/config_load.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "daemon/common/config/config_parse.h"
#include "daemon/common/config/config_path.h"

#define DEFAULT_PATH    SYSCONFDIR "/recseal/recseal.conf"
#define DEFAULT_KEEP_US (30 * US_PER_DAY)

static void free_config_p(struct config **config)
{
	config_free(*config);
}
#define _cleanup_config_ _cleanup_(free_config_p)

static int is_conf(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The main file and those beside it, in the order they are read. */
struct file_list {
	char **paths;
	size_t n;
};

static void free_file_list(struct file_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->paths[i]);
	free(list->paths);
}

static int list_files(const char *path, struct reason *reason, struct file_list *list)
{
	_cleanup_free_ char *folder = NULL;
	_cleanup_free_ struct dirent **entries = NULL;

	if (asprintf(&folder, "%s.d", path) < 0)
		return -ENOMEM;
	int n = scandir(folder, &entries, is_conf, by_name);
	if (n < 0 && errno != ENOENT) {
		int r = -errno;
		return reason_add_line(reason, r, "%s: %s", folder, error_text(r));
	}
	n = n < 0 ? 0 : n;
	list->paths = calloc((size_t)n + 1, sizeof(char *));
	int r = list->paths ? 0 : -ENOMEM;
	if (list->paths && !(list->paths[list->n++] = strdup(path)))
		r = -ENOMEM;
	for (int i = 0; i < n; i++) {
		char *file = NULL;
		if (r == 0 && asprintf(&file, "%s/%s", folder, entries[i]->d_name) < 0)
			r = -ENOMEM;
		else if (r == 0)
			list->paths[list->n++] = file;
		free(entries[i]);
	}
	return r;
}

static int read_files(struct config *config, const char *path, struct reason *reason)
{
	_cleanup_(free_file_list) struct file_list list = {0};
	int r = list_files(path, reason, &list);

	return r < 0 ? r : config_parse(config, list.paths, list.n, reason);
}

/* The class that recordings get where nothing else is said. */
static int add_default_class(struct config *config)
{
	if (config_find_class(config, "default"))
		return 0;
	int r = config_new_class(config, "default", "built in");
	if (r == 0)
		config->classes[config->n_classes - 1].keep.us = DEFAULT_KEEP_US;
	return r;
}

int config_load(const char *path, struct reason *reason, struct config **ret_config)
{
	_cleanup_config_ struct config *config = config_new();
	int r = 0;

	if (!config)
		return -ENOMEM;
	config->intake_user = strdup("recseal");
	if (!config->intake_user)
		return -ENOMEM;
	r = read_files(config, path ? path : DEFAULT_PATH, reason);
	/* After the files, which may have their own. */
	if (r == 0)
		r = add_default_class(config);
	if (r < 0)
		return r;
	*ret_config = TAKE_PTR(config);
	return 0;
}

static int place_below(const char *root, const char *name, char **field)
{
	char *path;

	if (asprintf(&path, "%s/%s", strcmp(root, "/") == 0 ? "" : root, name) < 0)
		return -ENOMEM;
	free(*field);
	*field = path;
	return 0;
}

int config_load_embedded(const char *state_dir, const char *path, struct reason *reason,
		struct config **ret_config)
{
	_cleanup_config_ struct config *config = config_new();
	_cleanup_free_ char *root = config_path_absolute(state_dir);

	if (!config)
		return -ENOMEM;
	if (!root) {
		int r = -errno;
		return reason_add_line(reason, r, "--state: %s: %s", state_dir, error_text(r));
	}
	config->embedded = true;
	int r = path ? read_files(config, path, reason) : 0;
	if (r == 0)
		r = add_default_class(config);
	/* After the file too: what it says of directories does not count. */
	if (r == 0)
		r = place_below(root, "keeper", &config->keeper_dir);
	if (r == 0)
		r = place_below(root, "objects", &config->objects_dir);
	if (r == 0)
		r = place_below(root, "run", &config->socket_dir);
	if (r < 0)
		return r;
	*ret_config = TAKE_PTR(config);
	return 0;
}

int config_load_spool(struct config *config, const char *spec, struct reason *reason)
{
	size_t name_len = strcspn(spec, "=/");
	_cleanup_free_ char *name = NULL, *path = NULL;
	bool named = spec[name_len] == '=';

	name = named ? strndup(spec, name_len) : strdup("default");
	if (!name)
		return -ENOMEM;
	if (!config_name_is_valid(name))
		return reason_add_line(reason, -RE_CONFIG,
				"--spool %s: the name must be 1 to 64 of a-z, 0-9, _ and -; write "
				"./ before a path with a =",
				spec);
	path = config_path_absolute(named ? spec + name_len + 1 : spec);
	if (!path && errno == ENOMEM)
		return -ENOMEM;
	if (!path)
		return reason_add_line(reason, -RE_CONFIG, "--spool %s: not a usable path: %s",
				spec, strerror(errno));
	int r = config_new_spool(config, name, "--spool");
	if (r == 0)
		config->spools[config->n_spools - 1].path = TAKE_PTR(path);
	return r;
}
