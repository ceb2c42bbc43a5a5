/* The `report` message: the state of the spools, for `recsealctl status`. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "daemon/intake/spool/spool.h"

/* `waiting` counts the candidates in the queue: with more files than it holds, a lower bound. NULL
 * when out of memory. */
json_t *report_build(const struct spool *spools, size_t n_spools);
