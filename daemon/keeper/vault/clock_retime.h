/* Recordings whose times rest on a clock that was wrong (vault_clock.h). There may be very many,
 * so that it is done in strides. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/tables/db.h"

struct clock_retiming {
	int64_t truth_us;   /* the time that is known now */
	int64_t shift_us;   /* by how much the counted time was behind it; negative: ahead */
	int64_t settled_id; /* newer recordings are shifted, although their time was known */
	/* Where the next stride goes on among those whose time was known; INT64_MAX to begin
	 * with. */
	int64_t before_id;
	bool known_done;
};

/* Puts the times of max recordings or some more right, whole groups of those whose time was not
 * known, in the caller's transaction. 1: there are more; 0. *retimed is added to. */
int clock_retime_stride(
		struct db *db, struct clock_retiming *retiming, size_t max, int64_t *retimed);
