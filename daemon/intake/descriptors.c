#include "daemon/intake/descriptors.h"

#include <stdint.h>
#include <sys/resource.h>

#include "daemon/intake/spool/scan.h"
#include "daemon/intake/work/jobs.h"

/* The loop, its threads, the watch, the keeper, the probe, and the files that libraries open
 * for a moment. */
#define OTHERS 32
/* A job holds its file, its folder, the spool for its sidecars, object and key; before it begins,
 * the probe's duplicate of the file instead of object and key. */
#define PER_JOB    5
#define PER_BEFORE 4
/* Of the thread of a spool: its root, its watch, and two of its loop. */
#define PER_LANE 4

size_t descriptors_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SIZE_MAX; /* then an open that fails will show it */
	if (limit.rlim_cur < limit.rlim_max) {
		const struct rlimit raised = {limit.rlim_max, limit.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	return (size_t)limit.rlim_cur;
}

size_t descriptors_jobs(size_t limit, size_t wanted, size_t n_spools)
{
	/* A walk holds a descriptor for each level; few spools are as deep as they may be. */
	size_t fixed = OTHERS + n_spools * (PER_LANE + SCAN_DEPTH_MAX / 4) +
		       PER_BEFORE * jobs_slots(0, n_spools);
	size_t room = limit > fixed ? (limit - fixed) / PER_JOB : 0;

	return room < 1 ? 1 : room < wanted ? room : wanted;
}
