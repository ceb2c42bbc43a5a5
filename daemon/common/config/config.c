#include "daemon/common/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "daemon/common/config/config_parse.h"
#include "daemon/common/config/config_path.h"
#include "daemon/common/watermark.h"

#define DEFAULT_PATH    SYSCONFDIR "/recseal/recseal.conf"
#define DEFAULT_KEEP_US (30 * US_PER_DAY)

static void free_profile(struct config_profile *profile)
{
	free(profile->name);
	free(profile->files);
	free(profile->ignore);
	free(profile->finished);
	free(profile->unfinished);
	free(profile->discard);
	free(profile->account);
	free(profile->sidecars);
	free(profile->markers);
	free(profile->origin);
}

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	for (size_t i = 0; i < config->n_spools; i++) {
		struct config_spool *s = &config->spools[i];
		free(s->name);
		free(s->path);
		free(s->profile);
		free(s->class);
		free(s->account);
		free(s->ignore);
		free(s->account_map);
		free(s->markers);
		free(s->discarded);
		free(s->origin);
	}
	for (size_t i = 0; i < config->n_profiles; i++)
		free_profile(&config->profiles[i]);
	for (size_t i = 0; i < config->n_classes; i++) {
		free(config->classes[i].name);
		free(config->classes[i].origin);
	}
	free(config->spools);
	free(config->profiles);
	free(config->classes);
	free(config->keeper_dir);
	free(config->objects_dir);
	free(config->socket_dir);
	free(config->intake_user);
	free(config->root);
	free(config->tpm_device);
	free(config->require_assurance);
	free(config->viewers);
	free(config->operators);
	free(config->officers);
	free(config->probe_program);
	free(config);
	return NULL;
}

static void free_config_p(struct config **config)
{
	config_free(*config);
}
#define _cleanup_config_ _cleanup_(free_config_p)

/* The defaults; no class yet, so that one given in a file is not there twice. */
static struct config *new_config(void)
{
	struct config *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->keeper_dir = strdup("/var/lib/recseal-keeper");
	c->objects_dir = strdup("/var/lib/recseal/objects");
	c->socket_dir = strdup("/run/recseal");
	c->root = strdup("file");
	c->viewers = strdup("recseal-viewer");
	c->operators = strdup("recseal-operator");
	c->officers = strdup("recseal-officer");
	c->epoch_interval_us = -1;
	c->away_limit_us = 7 * US_PER_DAY;
	c->jobs = 16;
	c->rescan_us = 60 * US_PER_S;
	c->objects_low_percent = WATERMARK_PERCENT_DEFAULT;
	c->probe_timeout_us = 10 * US_PER_S;
	if (c->root && c->keeper_dir && c->objects_dir && c->socket_dir && c->viewers &&
			c->operators && c->officers)
		return c;
	return config_free(c);
}

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

static int list_files(const char *path, FILE *errors, struct file_list *list)
{
	_cleanup_free_ char *folder = NULL;
	_cleanup_free_ struct dirent **entries = NULL;

	if (asprintf(&folder, "%s.d", path) < 0)
		return -ENOMEM;
	int n = scandir(folder, &entries, is_conf, by_name);
	if (n < 0 && errno != ENOENT) {
		int r = -errno;
		fprintf(errors, "%s: %s\n", folder, re_strerror(r));
		return r;
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

static int read_files(struct config *config, const char *path, FILE *errors)
{
	_cleanup_(free_file_list) struct file_list list = {0};
	int r = list_files(path, errors, &list);

	return r < 0 ? r : config_parse(config, list.paths, list.n, errors);
}

/* The class that recordings get where nothing else is said. */
static int add_default_class(struct config *config)
{
	if (config_find_class(config, "default"))
		return 0;
	int r = config_new_class(config, "default", "built in");
	if (r == 0)
		config->classes[config->n_classes - 1].keep_us = DEFAULT_KEEP_US;
	return r;
}

int config_load(const char *path, FILE *errors, struct config **ret_config)
{
	_cleanup_config_ struct config *config = new_config();
	int r = 0;

	if (!config)
		return -ENOMEM;
	config->intake_user = strdup("recseal");
	if (!config->intake_user)
		return -ENOMEM;
	r = read_files(config, path ? path : DEFAULT_PATH, errors);
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

int config_embedded(
		const char *state_dir, const char *path, FILE *errors, struct config **ret_config)
{
	_cleanup_config_ struct config *config = new_config();
	_cleanup_free_ char *root = config_path_absolute(state_dir);

	if (!config)
		return -ENOMEM;
	if (!root) {
		int r = -errno;
		fprintf(errors, "--state: %s: %s\n", state_dir, re_strerror(r));
		return r;
	}
	config->embedded = true;
	int r = path ? read_files(config, path, errors) : 0;
	if (r == 0)
		r = add_default_class(config);
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

int config_add_spool(struct config *config, const char *spec, FILE *errors)
{
	size_t name_len = strcspn(spec, "=/");
	_cleanup_free_ char *name = NULL, *path = NULL;
	bool named = spec[name_len] == '=';

	name = named ? strndup(spec, name_len) : strdup("default");
	if (!name)
		return -ENOMEM;
	if (!config_name_valid(name)) {
		fprintf(errors,
				"--spool %s: the name must be 1 to 64 of a-z, 0-9, _ and -; write ./ "
				"before "
				"a path with a =\n",
				spec);
		return -RE_CONFIG;
	}
	path = config_path_absolute(named ? spec + name_len + 1 : spec);
	if (!path && errno == ENOMEM)
		return -ENOMEM;
	if (!path) {
		fprintf(errors, "--spool %s: not a usable path: %s\n", spec, strerror(errno));
		return -RE_CONFIG;
	}
	int r = config_new_spool(config, name, "--spool");
	if (r == 0)
		config->spools[config->n_spools - 1].path = TAKE_PTR(path);
	return r;
}

const struct config_class *config_find_class(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_classes; i++) {
		if (strcmp(config->classes[i].name, name) == 0)
			return &config->classes[i];
	}
	return NULL;
}

/* A [profile NAME] goes before a bridge of the same name: it is the operator's word. */
static int find_profile(
		const struct config *config, const char *name, struct profile_text *ret_text)
{
	const struct profile_text *builtin = profile_builtin(name);

	for (size_t i = 0; i < config->n_profiles; i++) {
		const struct config_profile *p = &config->profiles[i];
		if (strcmp(p->name, name) != 0)
			continue;
		*ret_text = (struct profile_text){.name = p->name,
				.files = p->files,
				.ignore = p->ignore,
				.finished = p->finished,
				.unfinished = p->unfinished,
				.discard = p->discard,
				.sidecars = p->sidecars,
				.accounts = p->account,
				.markers = p->markers,
				.sidecar_wait_us = p->sidecar_wait_us};
		return 0;
	}
	if (!builtin)
		return -ENOENT;
	*ret_text = *builtin;
	return 0;
}

int config_profile_of(const struct config *config, const struct config_spool *spool,
		struct profile_text *ret_text)
{
	int r = find_profile(config, spool->profile, ret_text);

	if (r == 0)
		ret_text->ignore_too = spool->ignore;
	if (r == 0 && spool->account)
		ret_text->accounts = spool->account;
	if (r == 0 && spool->markers)
		ret_text->markers = spool->markers;
	return r;
}
