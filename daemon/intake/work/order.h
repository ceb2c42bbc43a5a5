/* An order to seal one recording: which file, and the facts that go to the keeper with it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/common/profile/profile.h"
#include "daemon/intake/beside/bundle.h"
#include "daemon/intake/source/origin.h"
#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/queue.h"

struct job_order {
	const char *spool, *class; /* names; borrowed */
	const struct profile *profile;
	struct candidate *candidate; /* the caller's, until the job has ended */
	struct bundle *bundle;       /* becomes the job's together with the source; NULL: none */
	uint8_t hash[ORIGIN_HASH_BYTES];  /* origin_hash() */
	bool firm;                        /* of the origin */
	int64_t recorded_us, finished_us; /* wall clock */
};
