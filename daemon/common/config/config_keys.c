#include "daemon/common/config/config_keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "daemon/common/config/config_path.h"
#include "daemon/common/watermark.h"

#define KEEP_MAX_US     (1000 * 365 * US_PER_DAY) /* times stay four-digit years */
#define KEEP_MAX_MONTHS 12000

static int replace_text(char **field, char *value)
{
	if (!value)
		return -ENOMEM;
	free(*field);
	*field = value;
	return 0;
}

static int set_path(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	char *path = config_path_clean(value);

	if (!path && errno == EINVAL) {
		return reason_set(reason, -RE_CONFIG,
				"is not a plain absolute path: begin it with / and use no . or ..");
	}
	return replace_text(field, path);
}

static int set_name(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	if (!config_name_is_valid(value)) {
		return reason_set(reason, -RE_CONFIG,
				"is not a name: use 1 to 64 of a-z, 0-9, _ and -");
	}
	return replace_text(field, strdup(value));
}

/* A user or group; whether it exists is found out by the one who needs it. */
static int set_principal(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	bool valid = strlen(value) <= CONFIG_NAME_MAX && *value != '-';

	for (const char *p = value; *p; p++)
		valid = valid && (isalnum((unsigned char)*p) || strchr("_.-", *p));
	if (!valid) {
		return reason_set(reason, -RE_CONFIG, "is not the name of a user or group");
	}
	return replace_text(field, strdup(value));
}

/* Patterns and templates: config_check() finds what is wrong with them. */
static int set_pattern_text(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	return replace_text(field, strdup(value));
}

static int set_discarded(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	static const char *const words[] = {"seal", "leave", "delete"};

	for (size_t i = 0; i < ELEMENTSOF(words); i++) {
		if (strcmp(value, words[i]) == 0)
			return replace_text(field, strdup(value));
	}
	return reason_set(reason, -RE_CONFIG, "is not understood: use seal, leave or delete");
}

static int set_names(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	if (name_fold_parse(value, field) == 0)
		return 0;
	return reason_set(reason, -RE_CONFIG, "is not understood: use exact, dns or nfc");
}

static int set_assurance(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	static const char *const labels[] = {"file", "virtual-tpm", "fw-tpm", "hw-tpm"};

	for (size_t i = 0; i < ELEMENTSOF(labels); i++) {
		if (strcmp(value, labels[i]) == 0)
			return replace_text(field, strdup(value));
	}
	return reason_set(reason, -RE_CONFIG,
			"is not an assurance: use file, virtual-tpm, fw-tpm or hw-tpm");
}

static int set_root_kind(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	if (strcmp(value, "file") == 0 || strcmp(value, "tpm2") == 0)
		return replace_text(field, strdup(value));
	return reason_set(reason, -RE_CONFIG, "is no kind of root: use file or tpm2");
}

static int set_verify(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	bool ends = strcmp(value, "ends") == 0;

	if (!ends && strcmp(value, "full") != 0)
		return reason_set(reason, -RE_CONFIG, "is not understood: use full or ends");
	*(bool *)field = ends;
	return 0;
}

static int set_first_start(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	bool take = strcmp(value, "take") == 0;

	if (!take && strcmp(value, "wait") != 0)
		return reason_set(reason, -RE_CONFIG, "is not understood: use wait or take");
	*(bool *)field = take;
	return 0;
}

static int set_yes_or_no(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0)
		return reason_set(reason, -RE_CONFIG, "is not understood: use yes or no");
	*(bool *)field = yes;
	return 0;
}

static int set_empty_folders(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	bool remove = strcmp(value, "remove") == 0;

	if (!remove && strcmp(value, "keep") != 0)
		return reason_set(reason, -RE_CONFIG, "is not understood: use keep or remove");
	*(bool *)field = remove;
	return 0;
}

static int set_tpm_device(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	if (*value == '/' || strchr(value, ':'))
		return replace_text(field, strdup(value));
	return reason_set(reason, -RE_CONFIG,
			"is neither a device like /dev/tpmrm0 nor a TCTI like "
			"swtpm:host=127.0.0.1,port=2321");
}

static int set_span(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	int64_t span_us;

	if (clock_parse_span(value, &span_us) < 0) {
		return reason_set(reason, -RE_CONFIG,
				"is not a time span: write it like 90s, 15min, 2h, 30d or 5y");
	}
	if (span_us < key->min || span_us > key->max) {
		return reason_set(reason, -RE_CONFIG, "is out of range: use %s", key->range);
	}
	*(int64_t *)field = span_us;
	return 0;
}

static int set_period(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	struct period period;

	if (period_parse(value, &period) < 0) {
		return reason_set(reason, -RE_CONFIG,
				"is not a time span: write it like 90s, 15min, 2h, 30d, 18mo "
				"or 5y");
	}
	if ((period.months == 0 && period.us < key->min) || period.us > key->max ||
			period.months > KEEP_MAX_MONTHS) {
		return reason_set(reason, -RE_CONFIG, "is out of range: use %s", key->range);
	}
	*(struct period *)field = period;
	return 0;
}

static int set_keep_from(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	bool recorded = strcmp(value, "recorded") == 0;

	if (!recorded && strcmp(value, "sealed") != 0)
		return reason_set(reason, -RE_CONFIG, "is not understood: use sealed or recorded");
	*(bool *)field = recorded;
	return 0;
}

static int set_number(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || n < key->min || n > key->max) {
		return reason_set(reason, -RE_CONFIG, "is not a number from %s", key->range);
	}
	*(unsigned *)field = (unsigned)n;
	return 0;
}

static int set_percent(
		const struct config_key *key, const char *value, void *field, struct reason *reason)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (!isdigit((unsigned char)*value) || strcmp(end, "%") != 0 || n < key->min ||
			n > key->max) {
		return reason_set(reason, -RE_CONFIG, "is not a share: use %s", key->range);
	}
	*(unsigned *)field = (unsigned)n;
	return 0;
}

static const struct config_key spool_keys[] = {
		{"Path", set_path, offsetof(struct config_spool, path), 0, 0, NULL},
		{"Profile", set_name, offsetof(struct config_spool, profile), 0, 0, NULL},
		{"Account", set_pattern_text, offsetof(struct config_spool, account), 0, 0, NULL},
		{"Ignore", set_pattern_text, offsetof(struct config_spool, ignore), 0, 0, NULL},
		{"AccountMap", set_path, offsetof(struct config_spool, account_map), 0, 0, NULL},
		{"Names", set_names, offsetof(struct config_spool, names), 0, 0, NULL},
		{"Markers", set_path, offsetof(struct config_spool, markers), 0, 0, NULL},
		{"Discarded", set_discarded, offsetof(struct config_spool, discarded), 0, 0, NULL},
		{"FirstStart", set_first_start, offsetof(struct config_spool, first_take), 0, 0,
				NULL},
		{"Wipe", set_yes_or_no, offsetof(struct config_spool, wipe), 0, 0, NULL},
		{"EmptyFolders", set_empty_folders, offsetof(struct config_spool, remove_empty), 0,
				0, NULL},
		{"SidecarWait", set_span, offsetof(struct config_spool, sidecar_wait_us), 0,
				US_PER_DAY, "0 to 1d"},
		{"StaleAfter", set_span, offsetof(struct config_spool, stale_after_us), US_PER_S,
				365 * US_PER_DAY, "1s to 1y"},
		{"Class", set_name, offsetof(struct config_spool, class), 0, 0, NULL},
		{"Settle", set_span, offsetof(struct config_spool, settle_us), 0, US_PER_DAY,
				"0 to 1d"},
		{"LowSpace", set_percent, offsetof(struct config_spool, low_percent), 0,
				WATERMARK_PERCENT_MAX, "0% to 90%"},
};

static const struct config_key class_keys[] = {
		{"Keep", set_period, offsetof(struct config_class, keep), US_PER_S, KEEP_MAX_US,
				"1s to 1000y"},
		{"From", set_keep_from, offsetof(struct config_class, keep_from_recorded), 0, 0,
				NULL},
};

static const struct config_key profile_keys[] = {
		{"Files", set_pattern_text, offsetof(struct config_profile, files), 0, 0, NULL},
		{"Ignore", set_pattern_text, offsetof(struct config_profile, ignore), 0, 0, NULL},
		{"Rewritten", set_pattern_text, offsetof(struct config_profile, rewritten), 0, 0,
				NULL},
		{"Finished", set_pattern_text, offsetof(struct config_profile, finished), 0, 0,
				NULL},
		{"Unfinished", set_pattern_text, offsetof(struct config_profile, unfinished), 0, 0,
				NULL},
		{"Discard", set_pattern_text, offsetof(struct config_profile, discard), 0, 0, NULL},
		{"Account", set_pattern_text, offsetof(struct config_profile, account), 0, 0, NULL},
		{"Sidecar", set_pattern_text, offsetof(struct config_profile, sidecars), 0, 0,
				NULL},
		{"SidecarWait", set_span, offsetof(struct config_profile, sidecar_wait_us), 0,
				US_PER_DAY, "0 to 1d"},
		{"Recorded", set_pattern_text, offsetof(struct config_profile, recorded), 0, 0,
				NULL},
		{"Markers", set_path, offsetof(struct config_profile, markers), 0, 0, NULL},
};

static const struct config_key keeper_keys[] = {
		{"State", set_path, offsetof(struct config, keeper_dir), 0, 0, NULL},
		{"Objects", set_path, offsetof(struct config, objects_dir), 0, 0, NULL},
		{"Sockets", set_path, offsetof(struct config, socket_dir), 0, 0, NULL},
		{"Intake", set_principal, offsetof(struct config, intake_user), 0, 0, NULL},
		{"Viewers", set_principal, offsetof(struct config, viewers), 0, 0, NULL},
		{"Operators", set_principal, offsetof(struct config, operators), 0, 0, NULL},
		{"Officers", set_principal, offsetof(struct config, officers), 0, 0, NULL},
		{"Root", set_root_kind, offsetof(struct config, root), 0, 0, NULL},
		{"TpmDevice", set_tpm_device, offsetof(struct config, tpm_device), 0, 0, NULL},
		{"EpochInterval", set_span, offsetof(struct config, epoch_interval_us), 0,
				US_PER_DAY, "0 to 1d"},
		{"AwayLimit", set_span, offsetof(struct config, away_limit_us), 0,
				3650 * US_PER_DAY, "0 to 3650d"},
		{"RequireAssurance", set_assurance, offsetof(struct config, require_assurance), 0,
				0, NULL},
		{"LowSpace", set_percent, offsetof(struct config, objects_low_percent), 0,
				WATERMARK_PERCENT_MAX, "0% to 90%"},
		{"Verify", set_verify, offsetof(struct config, verify_ends), 0, 0, NULL},
};

static const struct config_key intake_keys[] = {
		{"Jobs", set_number, offsetof(struct config, jobs), 1, 256, "1 to 256"},
		{"Rescan", set_span, offsetof(struct config, rescan_us), US_PER_S, US_PER_DAY,
				"1s to 1d"},
		{"ProbeTimeout", set_span, offsetof(struct config, probe_timeout_us), 100000,
				600 * US_PER_S, "100ms to 10min"},
		{"Probe", set_path, offsetof(struct config, probe_program), 0, 0, NULL},
};

const struct config_section_keys config_sections[CONFIG_SECTIONS] = {
		[CONFIG_SPOOL] = {"spool", true, spool_keys, ELEMENTSOF(spool_keys)},
		[CONFIG_CLASS] = {"class", true, class_keys, ELEMENTSOF(class_keys)},
		[CONFIG_PROFILE] = {"profile", true, profile_keys, ELEMENTSOF(profile_keys)},
		[CONFIG_KEEPER] = {"keeper", false, keeper_keys, ELEMENTSOF(keeper_keys)},
		[CONFIG_INTAKE] = {"intake", false, intake_keys, ELEMENTSOF(intake_keys)},
};

const struct config_key *config_key_find(enum config_section section, const char *name)
{
	const struct config_section_keys *s = &config_sections[section];

	for (size_t i = 0; i < s->n_keys; i++) {
		if (strcmp(s->keys[i].name, name) == 0)
			return &s->keys[i];
	}
	return NULL;
}
