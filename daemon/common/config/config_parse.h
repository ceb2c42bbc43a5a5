/* Configuration files into a struct config. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "daemon/common/config/config.h"

/* Reads the files in this order into config, whose defaults are already set. A section may go on in
 * a later file, but no key may be given twice, not even in two files. Every problem is one line on
 * errors. 0, -RE_CONFIG, -errno; config is then half filled and only fit to be freed. */
int config_parse(struct config *config, char *const *paths, size_t n_paths, FILE *errors);

/* Adds a spool, class or profile with default settings, which belongs to config. origin says where
 * it comes from, for messages. -ENOMEM. */
int config_new_spool(struct config *config, const char *name, const char *origin);
int config_new_class(struct config *config, const char *name, const char *origin);
int config_new_profile(struct config *config, const char *name, const char *origin);
