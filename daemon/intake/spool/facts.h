/* What an operator must know about a spool, for `recsealctl doctor`: its owner, its filesystem, and
 * whether recseald has the access it needs. Facts only: the keeper judges them, and never looks at
 * a spool itself. */
#pragma once

#include <jansson.h>

#include "daemon/intake/spool/spool.h"

/* The "facts" of intake_wire.h. A few system calls on the open root. NULL when out of memory. */
json_t *facts_build(const struct spool *spool);
