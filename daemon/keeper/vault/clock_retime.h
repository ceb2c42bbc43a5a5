/* Recordings whose times rest on a clock that was wrong (vault_clock.h). */
#pragma once

#include <stdint.h>

#include "storage/tables/db.h"

struct clock_retiming {
	int64_t truth_us;   /* the time that is known now */
	int64_t shift_us;   /* by how much the counted time was behind it; negative: ahead */
	int64_t settled_id; /* newer recordings are shifted, although their time was known */
};

/* Puts their times right, in the caller's transaction. *ret_retimed: how many. */
int clock_retime(struct db *db, const struct clock_retiming *retiming, int64_t *ret_retimed);
