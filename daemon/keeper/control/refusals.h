/* Which refusals go to the audit log. A caller who only collects refusals must not fill the disk,
 * nor hide what others are refused: each caller has REFUSALS_PER_WINDOW of them in a minute.
 *
 * So many callers are known at once. When there are more, one whose minute is over gives way, and
 * else, to a caller with a role, one without. All others share one caller's part. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"

#define REFUSALS_PER_WINDOW 30
#define REFUSALS_WINDOW_US  (60 * US_PER_S)
#define REFUSALS_CALLERS    64

/* Zero to begin with. */
struct refusals {
	struct refusals_caller {
		uid_t uid;
		bool has_role;
		int64_t since_us; /* 0: never */
		unsigned recorded, skipped;
	} caller[REFUSALS_CALLERS], others;
};

/* Whether a refusal of this caller is to be recorded now. *ret_skipped: how many before it were
 * not, of the same caller or of the others; each is logged once. */
bool refusals_admit(struct refusals *refusals, uid_t uid, bool has_role, int64_t now_us,
		unsigned *ret_skipped);
