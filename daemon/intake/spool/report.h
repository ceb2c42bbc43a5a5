/* The `report` message: the state of the spools, for `recsealctl status`. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "daemon/intake/spool/spool.h"

/* One spool of n_spools, as it is now. `waiting` counts the candidates in the queue: a lower bound,
 * with more files than it holds. In the spool's thread. NULL when out of memory. */
json_t *report_spool(const struct spool *spool, size_t n_spools);

/* What is known of a spool whose thread has not reported yet. NULL when out of memory. */
json_t *report_unknown(const struct config_spool *config, size_t n_spools);

/* The message: an array of the above, which it takes over. NULL when out of memory, or without the
 * array. */
json_t *report_message(json_t *spools);
