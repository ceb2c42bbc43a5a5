/* The `report` message: how the spools are, for `recsealctl status`. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "daemon/intake/spool/spool.h"

/* `waiting` counts what the queue holds: with more files than INTAKE_QUEUE it is a lower bound.
 * NULL when out of memory. */
json_t *report_build(const struct spool *spools, size_t n_spools);
