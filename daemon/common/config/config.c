#include "daemon/common/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/common/watermark.h"

static void free_profile(struct config_profile *profile)
{
	free(profile->name);
	free(profile->files);
	free(profile->ignore);
	free(profile->rewritten);
	free(profile->finished);
	free(profile->unfinished);
	free(profile->discard);
	free(profile->account);
	free(profile->sidecars);
	free(profile->markers);
	free(profile->recorded);
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

struct config *config_new(void)
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

int config_new_spool(struct config *config, const char *name, const char *origin)
{
	struct config_spool *spools = reallocarray(
			config->spools, config->n_spools + 1, sizeof(struct config_spool));

	if (!spools)
		return -ENOMEM;
	config->spools = spools;
	struct config_spool *s = &spools[config->n_spools++];
	*s = (struct config_spool){.name = strdup(name),
			.profile = strdup("directory"),
			.class = strdup("default"),
			.discarded = strdup("seal"),
			.settle_us = CONFIG_SETTLE_US,
			.stale_after_us = US_PER_DAY / 2,
			.sidecar_wait_us = -1,
			.low_percent = WATERMARK_PERCENT_DEFAULT,
			.origin = strdup(origin)};
	return s->name && s->profile && s->class && s->discarded && s->origin ? 0 : -ENOMEM;
}

int config_new_class(struct config *config, const char *name, const char *origin)
{
	struct config_class *classes = reallocarray(
			config->classes, config->n_classes + 1, sizeof(struct config_class));

	if (!classes)
		return -ENOMEM;
	config->classes = classes;
	struct config_class *c = &classes[config->n_classes++];
	*c = (struct config_class){.name = strdup(name), .origin = strdup(origin)};
	return c->name && c->origin ? 0 : -ENOMEM;
}

int config_new_profile(struct config *config, const char *name, const char *origin)
{
	struct config_profile *profiles =
			reallocarray(config->profiles, config->n_profiles + 1, sizeof(*profiles));

	if (!profiles)
		return -ENOMEM;
	config->profiles = profiles;
	struct config_profile *p = &profiles[config->n_profiles++];
	*p = (struct config_profile){.name = strdup(name), .origin = strdup(origin)};
	return p->name && p->origin ? 0 : -ENOMEM;
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
				.rewritten = p->rewritten,
				.finished = p->finished,
				.unfinished = p->unfinished,
				.discard = p->discard,
				.sidecars = p->sidecars,
				.accounts = p->account,
				.recorded = p->recorded,
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
	if (r == 0 && spool->sidecar_wait_us >= 0)
		ret_text->sidecar_wait_us = spool->sidecar_wait_us;
	if (r == 0 && spool->markers)
		ret_text->markers = spool->markers;
	return r;
}
