/* The look at a candidate: does the file exist, is it a recording, is it finished? And the way of
 * the candidate after its job: back to its queue, or out of it. All of it in the spool's thread:
 * each of these calls may take as long as the filesystem does. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "daemon/intake/spool/seen.h"
#include "daemon/intake/spool/spool.h"
#include "daemon/intake/work/jobs.h"

/* What a look needs; all borrowed. */
struct look {
	const struct clock *clock;
	struct spool *spool;
	/* States of files that the keeper does not want; and of files that could not be removed
	 * when the keeper had them. */
	struct seen *parked, *settled;
	bool large_room; /* a large file may be started now */
};

/* Looks at a taken candidate: returns a new job with it, or returns it to the queue for later, or
 * drops it, and then returns NULL. */
struct job *look_at(const struct look *look, struct candidate *candidate);

/* Returns or drops the candidate of a job that has ended, and is still open. While the intake is
 * stopping, a failure is not reported: it is the stop's. */
void look_after(const struct look *look, const struct job *job, bool stopping);
