/* config_check(): what only the whole configuration can tell.
 *
 * Each check returns 0, -RE_CONFIG after adding a line to the reason, or -ENOMEM. One that fails
 * does not keep the others from being made: an operator learns of every problem in one run. */

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

/* Adds a line; whatever the file says is made printable. -RE_CONFIG, -ENOMEM. */
__attribute__((format(printf, 2, 3))) static int check_complain(
		struct reason *reason, const char *format, ...)
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
	return safe ? reason_add_line(reason, -RE_CONFIG, "%s", safe) : -ENOMEM;
}

static int check_spool_class(const struct config *config, const struct config_spool *spool,
		struct reason *reason)
{
	if (config_find_class(config, spool->class))
		return 0;
	return check_complain(reason,
			"%s: [spool %s]: there is no class %s; add [class %s] with its Keep=",
			spool->origin, spool->name, spool->class, spool->class);
}

static int complain_no_profile(const struct config_spool *spool, struct reason *reason)
{
	char known[256] = "";

	for (size_t i = 0, n = 0; profile_builtin_at(i) && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s %s", i > 0 ? "," : "",
				profile_builtin_at(i)->name);
	return check_complain(reason,
			"%s: [spool %s]: there is no profile %s; available:%s; or add [profile %s] "
			"with its Files=",
			spool->origin, spool->name, spool->profile, known, spool->profile);
}

static int check_texts(const struct profile_text *text, const char *where, struct reason *reason)
{
	struct profile *profile;
	struct reason why = {""};
	int r = profile_compile(text, &why, &profile);

	if (r == -RE_CONFIG)
		r = check_complain(reason, "%s, profile %s: %s", where, text->name, why.text);
	if (r == 0)
		profile_free(profile);
	return r;
}

/* The spool's profile with what the spool itself says. */
static int check_spool_profile(const struct config *config, const struct config_spool *spool,
		struct reason *reason)
{
	_cleanup_free_ char *where = NULL;
	struct profile_text text;

	if (config_profile_of(config, spool, &text) < 0)
		return complain_no_profile(spool, reason);
	if (asprintf(&where, "%s: [spool %s]", spool->origin, spool->name) < 0) {
		where = NULL;
		return -ENOMEM;
	}
	return check_texts(&text, where, reason);
}

/* A profile as it is, whether a spool uses it or not. */
static int check_defined_profile(const struct config *config, const struct config_profile *profile,
		struct reason *reason)
{
	const struct config_spool spool = {.profile = profile->name};
	struct profile_text text;

	return config_profile_of(config, &spool, &text) < 0
			       ? -ENOMEM
			       : check_texts(&text, profile->origin, reason);
}

/* Whoever may write to a spool must not say which accounts there are. */
static int check_account_map(const struct config_spool *spool, struct reason *reason)
{
	int r = spool->account_map ? config_path_overlap(spool->path, spool->account_map) : 0;

	if (r <= 0)
		return r;
	return check_complain(reason,
			"%s: [spool %s]: AccountMap=%s lies in the spool; keep it elsewhere",
			spool->origin, spool->name, spool->account_map);
}

static int check_spool_pair(
		const struct config_spool *a, const struct config_spool *b, struct reason *reason)
{
	if (strcmp(a->name, b->name) == 0)
		return check_complain(reason,
				"%s: spool %s is already defined at %s; give it another name",
				b->origin, b->name, a->origin);
	int r = config_path_overlap(a->path, b->path);
	if (r <= 0)
		return r;
	return check_complain(reason,
			"%s: spool %s (%s) overlaps spool %s (%s) of %s; keep them apart",
			b->origin, b->name, b->path, a->name, a->path, a->origin);
}

/* What recseal itself writes must never be taken for recordings. */
static int check_directories(const struct config *config, const struct config_spool *spool,
		struct reason *reason)
{
	const struct {
		const char *what, *path;
	} own[] = {{"state", config->keeper_dir}, {"object", config->objects_dir},
			{"socket", config->socket_dir}};
	int result = 0;

	for (size_t i = 0; i < ELEMENTSOF(own); i++) {
		int r = config_path_overlap(spool->path, own[i].path);
		if (r < 0)
			return r;
		if (r > 0)
			result = check_complain(reason,
					"%s: spool %s (%s) overlaps the %s directory (%s); keep "
					"them apart",
					spool->origin, spool->name, spool->path, own[i].what,
					own[i].path);
	}
	return result;
}

/* The graver of two results. */
static int graver_of(int a, int b)
{
	return a == 0 || b == -ENOMEM ? b : a;
}

static int check_config_spool(const struct config *config, size_t i, struct reason *reason)
{
	const struct config_spool *spool = &config->spools[i];
	int r = check_spool_class(config, spool, reason);

	r = graver_of(r, check_spool_profile(config, spool, reason));
	r = graver_of(r, check_account_map(spool, reason));
	r = graver_of(r, check_directories(config, spool, reason));
	for (size_t k = 0; k < i; k++)
		r = graver_of(r, check_spool_pair(&config->spools[k], spool, reason));
	return r;
}

int config_check(const struct config *config, struct reason *reason)
{
	int r = 0;

	if (config->n_spools > CONFIG_SPOOLS_MAX)
		return check_complain(reason,
				"%s: more than %d spools; a spool takes all folders below it, so "
				"name the folder above",
				config->spools[CONFIG_SPOOLS_MAX].origin, CONFIG_SPOOLS_MAX);
	for (size_t i = 0; i < config->n_profiles; i++)
		r = graver_of(r, check_defined_profile(config, &config->profiles[i], reason));
	for (size_t i = 0; i < config->n_spools; i++)
		r = graver_of(r, check_config_spool(config, i, reason));
	return r;
}
