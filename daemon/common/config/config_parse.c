/* inih splits lines into key and value. It does not report line numbers or sections without keys,
 * cuts section names at 50 characters, joins indented lines to the value above, and takes " ;"
 * inside a value for a comment. So the reader it calls (read_config_line) counts the lines, enters
 * the sections itself, and hands inih only lines that inih cannot misread. */

#include "daemon/common/config/config_parse.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "daemon/common/config/config_keys.h"
#include "daemon/common/config/config_path.h"
#include "daemon/common/watermark.h"

#define LINE_MAX_BYTES 8192 /* what inih may hold of one line */

/* One key that was set, and where. */
struct seen {
	const struct config_key *key;
	size_t index;
	char *origin;
};

struct parser {
	struct config *config;
	struct reason *reason;
	int r; /* the first failure that is not the file's, or -RE_CONFIG */
	struct seen *seen;
	size_t n_seen;

	FILE *file;
	const char *path;
	unsigned line;
	char *text; /* getline()'s */
	size_t text_size;
	enum config_section section; /* CONFIG_SECTIONS: none, or one that was refused */
	bool refused;
	size_t index; /* which spool or class */
};

static void note_failure(struct parser *p, int r)
{
	if (p->r == 0 || p->r == -RE_CONFIG)
		p->r = r;
}

/* "FILE:LINE: message"; whatever the file holds is made printable. */
__attribute__((format(printf, 2, 3))) static void complain_at_line(
		struct parser *p, const char *format, ...)
{
	_cleanup_free_ char *message = NULL, *safe = NULL;
	va_list arguments;

	va_start(arguments, format);
	int n = vasprintf(&message, format, arguments);
	va_end(arguments);
	safe = n < 0 ? NULL : text_printable(message, (size_t)n);
	if (!safe) {
		note_failure(p, -ENOMEM);
		return;
	}
	note_failure(p, reason_add_line(p->reason, -RE_CONFIG, "%s:%u: %s", p->path, p->line,
					safe));
}

static size_t named_count(const struct parser *p)
{
	const struct config *c = p->config;

	return p->section == CONFIG_SPOOL   ? c->n_spools
	       : p->section == CONFIG_CLASS ? c->n_classes
					    : c->n_profiles;
}

static const char *named_name(const struct parser *p, size_t i)
{
	const struct config *c = p->config;

	return p->section == CONFIG_SPOOL   ? c->spools[i].name
	       : p->section == CONFIG_CLASS ? c->classes[i].name
					    : c->profiles[i].name;
}

/* Finds or adds what a named section is about. */
static int enter_named(struct parser *p, const char *name)
{
	_cleanup_free_ char *origin = NULL;
	size_t n = named_count(p);

	for (p->index = 0; p->index < n; p->index++) {
		if (strcmp(named_name(p, p->index), name) == 0)
			return 0;
	}
	if (asprintf(&origin, "%s:%u", p->path, p->line) < 0)
		return -ENOMEM;
	switch (p->section) {
	case CONFIG_SPOOL:
		return config_new_spool(p->config, name, origin);
	case CONFIG_CLASS:
		return config_new_class(p->config, name, origin);
	default:
		return config_new_profile(p->config, name, origin);
	}
}

static enum config_section section_of(const char *type)
{
	for (enum config_section s = 0; s < CONFIG_SECTIONS; s++) {
		if (strcmp(config_sections[s].name, type) == 0)
			return s;
	}
	return CONFIG_SECTIONS;
}

/* Enters "[type]" or "[type NAME]". Until it is found good, keys below it are passed over: they are
 * not mistakes of their own. */
static void enter_section(struct parser *p, char *text)
{
	size_t len = strlen(text);
	char *save, *type, *name, *more;

	p->section = CONFIG_SECTIONS;
	p->refused = true;
	p->index = 0;
	if (text[len - 1] != ']') {
		complain_at_line(p, "a section is one line, [keeper] or [spool NAME], and nothing "
				    "after it");
		return;
	}
	text[len - 1] = '\0';
	type = strtok_r(text + 1, " \t", &save);
	name = strtok_r(NULL, " \t", &save);
	more = strtok_r(NULL, " \t", &save);
	enum config_section section = section_of(type ? type : "");
	if (section == CONFIG_SECTIONS) {
		complain_at_line(p,
				"unknown section [%s]; known are [spool NAME], [profile NAME], "
				"[class NAME], [keeper] and [intake]",
				type ? type : "");
		return;
	}
	if (more || (!config_sections[section].named && name)) {
		complain_at_line(p, "[%s] takes %s", type,
				config_sections[section].named ? "one name" : "no name");
		return;
	}
	if (config_sections[section].named && (!name || !config_name_is_valid(name))) {
		complain_at_line(p, "[%s NAME] needs a name: 1 to 64 of a-z, 0-9, _ and -", type);
		return;
	}
	p->section = section;
	p->refused = false;
	int r = name ? enter_named(p, name) : 0;
	if (r < 0)
		note_failure(p, r);
}

/* Whether a line is "Key=..." and free of what inih would read in its own way. */
static bool is_assignment(struct parser *p, const char *text)
{
	size_t key = strcspn(text, "=:");

	if (key == 0 || text[key] != '=') {
		complain_at_line(p, "neither a section nor Key=value nor a comment");
		return false;
	}
	for (const char *c = text + 1; *c; c++) {
		if ((*c == ';' || *c == '#') && (c[-1] == ' ' || c[-1] == '\t')) {
			complain_at_line(p, "a comment stands on a line of its own: move it above");
			return false;
		}
	}
	return true;
}

/* The line without its surroundings, or NULL when it cannot be text. */
static char *clean_line(struct parser *p, size_t len)
{
	char *text = p->text;

	if (p->line == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3; /* a byte order mark */
		len -= 3;
	}
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			complain_at_line(p, "a control character is in the line; write plain text");
			return NULL;
		}
	}
	text[len] = '\0';
	return text + strspn(text, " \t");
}

/* ini_reader: gives inih one line with an assignment, or an empty one. */
static char *read_config_line(char *buffer, int size, void *context)
{
	struct parser *p = context;
	ssize_t len = getline(&p->text, &p->text_size, p->file);

	if (len < 0) {
		if (!feof(p->file))
			note_failure(p, -errno);
		return NULL;
	}
	p->line++;
	char *text = clean_line(p, (size_t)len);
	if (!text || *text == '\0' || *text == '#' || *text == ';') {
		text = NULL;
	} else if (strlen(text) >= (size_t)size) {
		complain_at_line(p, "the line is too long: %d bytes at most", size - 1);
		text = NULL;
	} else if (*text == '[') {
		enter_section(p, text);
		text = NULL;
	} else if (!is_assignment(p, text)) {
		text = NULL;
	}
	strcpy(buffer, text ? text : "");
	return buffer;
}

/* Notes that a key is set here; false when it already was. */
static bool first_time(struct parser *p, const struct config_key *key)
{
	for (size_t i = 0; i < p->n_seen; i++) {
		if (p->seen[i].key == key && p->seen[i].index == p->index) {
			complain_at_line(p, "%s= is already set at %s; remove one of the two",
					key->name, p->seen[i].origin);
			return false;
		}
	}
	struct seen *seen = reallocarray(p->seen, p->n_seen + 1, sizeof(struct seen));
	if (seen) {
		p->seen = seen;
		seen[p->n_seen] = (struct seen){key, p->index, NULL};
		if (asprintf(&seen[p->n_seen].origin, "%s:%u", p->path, p->line) >= 0) {
			p->n_seen++;
			return true;
		}
	}
	note_failure(p, -ENOMEM);
	return false;
}

static void *section_base(struct parser *p)
{
	switch (p->section) {
	case CONFIG_SPOOL:
		return &p->config->spools[p->index];
	case CONFIG_CLASS:
		return &p->config->classes[p->index];
	case CONFIG_PROFILE:
		return &p->config->profiles[p->index];
	default:
		return p->config;
	}
}

static void set_key(struct parser *p, const struct config_key *key, const char *value)
{
	struct reason reason = {""};
	int r = key->set(key, value, (char *)section_base(p) + key->offset, &reason);

	if (r == -RE_CONFIG)
		complain_at_line(p, "%s=%s %s", key->name, value, reason.text);
	else if (r < 0)
		note_failure(p, r);
}

static void complain_unknown_key(struct parser *p, const char *name)
{
	const struct config_section_keys *s = &config_sections[p->section];
	char known[256] = "";

	for (size_t i = 0, n = 0; i < s->n_keys && n < sizeof(known); i++)
		n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s=", i > 0 ? ", " : "",
				s->keys[i].name);
	complain_at_line(p, "unknown key %s= in [%s]; known: %s", name, s->name, known);
}

/* ini_handler. Always "success": the mistakes are counted by complain_at_line(). */
static int handle_assignment(
		void *context, const char *section, const char *name, const char *value)
{
	struct parser *p = context;

	if (p->section == CONFIG_SECTIONS) {
		if (!p->refused)
			complain_at_line(p, "%s= stands before any section", name);
		return 1;
	}
	const struct config_key *key = config_key_find(p->section, name);
	if (!key)
		complain_unknown_key(p, name);
	else if (*value == '\0')
		complain_at_line(p, "%s= is empty; give it a value or remove the line", name);
	else if (first_time(p, key))
		set_key(p, key, value);
	return 1;
}

static void parse_file(struct parser *p, const char *path)
{
	p->path = path;
	p->line = 0;
	p->section = CONFIG_SECTIONS;
	p->refused = false;
	p->file = fopen(path, "re");
	if (!p->file) {
		int r = -errno;
		note_failure(p, reason_add_line(p->reason, r, "%s: %s", path, error_text(r)));
		return;
	}
	int before = p->r;
	int r = ini_parse_stream(read_config_line, p, handle_assignment, p);
	fclose(p->file);
	if (p->r < 0 && p->r != before && p->r != -RE_CONFIG)
		reason_add_line(p->reason, p->r, "%s: %s", path, error_text(p->r));
	else if (r != 0 && p->r == 0)
		complain_at_line(p, "not understood");
}

/* What every spool and class must have been given. */
static int require_keys(const struct config *config, struct reason *reason)
{
	int r = 0;

	for (size_t i = 0; i < config->n_spools; i++) {
		const struct config_spool *s = &config->spools[i];
		if (!s->path)
			r = reason_add_line(reason, -RE_CONFIG,
					"%s: [spool %s] has no Path=; add it", s->origin, s->name);
	}
	for (size_t i = 0; i < config->n_classes; i++) {
		const struct config_class *c = &config->classes[i];
		if (c->keep.us == 0 && c->keep.months == 0)
			r = reason_add_line(reason, -RE_CONFIG,
					"%s: [class %s] has no Keep=; add it, as in Keep=30d",
					c->origin, c->name);
	}
	for (size_t i = 0; i < config->n_profiles; i++) {
		const struct config_profile *p = &config->profiles[i];
		if (!p->files)
			r = reason_add_line(reason, -RE_CONFIG,
					"%s: [profile %s] has no Files=; add it, as in Files=**",
					p->origin, p->name);
	}
	return r;
}

int config_parse(struct config *config, char *const *paths, size_t n_paths, struct reason *reason)
{
	struct parser p = {.config = config, .reason = reason};
	int line_max = ini_max_line;

	/* inih's limit is a global of its own: put back for whoever else uses it. */
	ini_max_line = LINE_MAX_BYTES;
	for (size_t i = 0; i < n_paths; i++)
		parse_file(&p, paths[i]);
	ini_max_line = line_max;
	/* A section that was misspelt also lacks its keys: said once is enough. */
	if (p.r == 0)
		p.r = require_keys(config, reason);
	for (size_t i = 0; i < p.n_seen; i++)
		free(p.seen[i].origin);
	free(p.seen);
	free(p.text);
	return p.r;
}
