#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "daemon/common/config/config.h"
#include "daemon/common/config/config_path.h"

/* Each check returns 0, -RE_CONFIG after a line on errors, or -ENOMEM. */

/* One line on errors; whatever the file says is made printable. -RE_CONFIG, -ENOMEM. */
__attribute__((format(printf, 2, 3))) static int complain_check(
		FILE *errors, const char *format, ...)
{
	_cleanup_free_ char *message = NULL, *safe = NULL;
	va_list arguments;

	va_start(arguments, format);
	int n = vasprintf(&message, format, arguments);
	va_end(arguments);
	if (n < 0) {
		message = NULL;
		return -ENOMEM;
	}
	safe = text_printable(message, (size_t)n);
	if (!safe)
		return -ENOMEM;
	fprintf(errors, "%s\n", safe);
	return -RE_CONFIG;
}

static int check_class(const struct config *config, const struct config_spool *spool, FILE *errors)
{
	if (config_find_class(config, spool->class))
		return 0;
	return complain_check(errors,
			"%s: [spool %s]: there is no class %s; add [class %s] with its Keep=",
			spool->origin, spool->name, spool->class, spool->class);
}

static int complain_no_profile(const struct config_spool *spool, FILE *errors)
{
	fprintf(errors, "%s: [spool %s]: there is no profile %s; available:", spool->origin,
			spool->name, spool->profile);
	for (size_t i = 0; profile_builtin_at(i); i++)
		fprintf(errors, "%s %s", i > 0 ? "," : "", profile_builtin_at(i)->name);
	fprintf(errors, "; or add [profile %s] with its Files=\n", spool->profile);
	return -RE_CONFIG;
}

static int check_texts(const struct profile_text *text, const char *where, FILE *errors)
{
	struct profile *profile;
	_cleanup_free_ char *why = NULL;
	int r = profile_compile(text, &profile, &why);

	if (r == -RE_CONFIG)
		r = complain_check(errors, "%s, profile %s: %s", where, text->name, why);
	if (r == 0)
		profile_free(profile);
	return r;
}

/* The spool's profile with what the spool itself says. */
static int check_profile(
		const struct config *config, const struct config_spool *spool, FILE *errors)
{
	_cleanup_free_ char *where = NULL;
	struct profile_text text;

	if (config_profile_of(config, spool, &text) < 0)
		return complain_no_profile(spool, errors);
	if (asprintf(&where, "%s: [spool %s]", spool->origin, spool->name) < 0) {
		where = NULL;
		return -ENOMEM;
	}
	return check_texts(&text, where, errors);
}

/* A profile as it is, whether a spool uses it or not. */
static int check_defined(
		const struct config *config, const struct config_profile *profile, FILE *errors)
{
	const struct config_spool spool = {.profile = profile->name};
	struct profile_text text;

	return config_profile_of(config, &spool, &text) < 0
			       ? -ENOMEM
			       : check_texts(&text, profile->origin, errors);
}

/* Whoever may write to a spool must not say which accounts there are. */
static int check_map(const struct config_spool *spool, FILE *errors)
{
	int r = spool->account_map ? config_path_overlap(spool->path, spool->account_map) : 0;

	if (r <= 0)
		return r;
	return complain_check(errors,
			"%s: [spool %s]: AccountMap=%s lies in the spool; keep it elsewhere",
			spool->origin, spool->name, spool->account_map);
}

static int check_pair(const struct config_spool *a, const struct config_spool *b, FILE *errors)
{
	if (strcmp(a->name, b->name) == 0)
		return complain_check(errors,
				"%s: spool %s is already defined at %s; give it another name",
				b->origin, b->name, a->origin);
	int r = config_path_overlap(a->path, b->path);
	if (r > 0)
		return complain_check(errors,
				"%s: spool %s (%s) overlaps spool %s (%s) of %s; keep them apart",
				b->origin, b->name, b->path, a->name, a->path, a->origin);
	return r;
}

/* What recseal itself writes must never be taken for recordings. */
static int check_places(const struct config *config, const struct config_spool *spool, FILE *errors)
{
	const struct {
		const char *what, *path;
	} places[] = {{"state", config->keeper_dir}, {"object", config->objects_dir},
			{"socket", config->socket_dir}};
	int result = 0;

	for (size_t i = 0; i < ELEMENTSOF(places); i++) {
		int r = config_path_overlap(spool->path, places[i].path);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		result = complain_check(errors,
				"%s: spool %s (%s) overlaps the %s directory (%s); keep them apart",
				spool->origin, spool->name, spool->path, places[i].what,
				places[i].path);
		if (result == -ENOMEM)
			return result;
	}
	return result;
}

/* Keeps the graver of two results. */
static int worse(int a, int b)
{
	return a == 0 || b == -ENOMEM ? b : a;
}

int config_check(const struct config *config, FILE *errors)
{
	int r = 0;

	if (config->n_spools > CONFIG_SPOOLS_MAX) {
		fprintf(errors,
				"%s: more than %d spools; a spool takes all folders below it, so name the "
				"folder above\n",
				config->spools[CONFIG_SPOOLS_MAX].origin, CONFIG_SPOOLS_MAX);
		return -RE_CONFIG;
	}
	for (size_t i = 0; i < config->n_profiles; i++)
		r = worse(r, check_defined(config, &config->profiles[i], errors));
	for (size_t i = 0; i < config->n_spools; i++) {
		const struct config_spool *spool = &config->spools[i];
		r = worse(r, check_class(config, spool, errors));
		r = worse(r, check_profile(config, spool, errors));
		r = worse(r, check_map(spool, errors));
		r = worse(r, check_places(config, spool, errors));
		for (size_t k = 0; k < i; k++)
			r = worse(r, check_pair(&config->spools[k], spool, errors));
	}
	return r;
}
