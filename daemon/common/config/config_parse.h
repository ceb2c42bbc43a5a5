/* Configuration files into a struct config. */
#pragma once

#include "daemon/common/config/config.h"

/* Reads the files in this order into config, whose defaults are already set. A section may go on in
 * a later file, but no key may be given twice, not even in two files. Every problem is one line of
 * the reason. 0, -RE_CONFIG, -errno; config is then half filled and only fit to be freed. */
int config_parse(struct config *config, char *const *paths, size_t n_paths, struct reason *reason);
