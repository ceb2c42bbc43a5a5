/* The sections and keys of a configuration file: what each takes, and where it goes. */
#pragma once

#include <stdint.h>

#include "daemon/common/config/config.h"

struct config_key {
	const char *name;
	/* Checks value and stores it in the field. 0; -ENOMEM; -RE_CONFIG with a reason that is
	 * the rest of a sentence that begins "Key=value ". */
	int (*set)(const struct config_key *key, const char *value, void *field,
			struct reason *reason);
	size_t offset;     /* of the field, in the section's own struct */
	int64_t min, max;  /* of a number or a span in microseconds */
	const char *range; /* the same in words */
};

enum config_section {
	CONFIG_SPOOL,   /* fields are in struct config_spool */
	CONFIG_CLASS,   /* fields are in struct config_class */
	CONFIG_PROFILE, /* fields are in struct config_profile */
	CONFIG_KEEPER,
	CONFIG_INTAKE, /* fields are in struct config */
	CONFIG_SECTIONS,
};

struct config_section_keys {
	const char *name;
	bool named; /* "[spool NAME]" */
	const struct config_key *keys;
	size_t n_keys;
};

extern const struct config_section_keys config_sections[CONFIG_SECTIONS];

/* NULL when the section has no such key. */
const struct config_key *config_key_find(enum config_section section, const char *name);
