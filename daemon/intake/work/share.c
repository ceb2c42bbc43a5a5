#include "daemon/intake/work/share.h"

#include "daemon/common/wire/probe_wire.h"

#define LARGE_MAX 4 /* at once: fewer than there are threads */
#define SLOW_MAX  8 /* slow probes in a row; then only one file at a time waits for a probe */

size_t share_before_max(size_t n_spools)
{
	return n_spools < PROBE_JOBS_MAX ? PROBE_JOBS_MAX / (n_spools ? n_spools : 1) : 1;
}

/* All slow spools together leave half of the probe's processes to the others. */
static size_t share_slow_jobs(const struct share *shares, size_t n_spools)
{
	size_t n = 0;

	for (size_t i = 0; i < n_spools; i++)
		n += shares[i].slow > 0 ? shares[i].before : 0;
	return n;
}

bool share_has_room(const struct share *shares, size_t n_spools, size_t i)
{
	/* With fewer spools, no spool can take the probe's processes from another. */
	if (shares[i].slow > 0 && n_spools > PROBE_JOBS_MAX)
		return shares[i].before == 0 &&
		       share_slow_jobs(shares, n_spools) < PROBE_JOBS_MAX / 2;
	return shares[i].before < share_before_max(n_spools);
}

bool share_skips_probe(const struct share *share)
{
	return share->slow >= SLOW_MAX && share->probing > 0;
}

size_t share_active_max(size_t max, size_t n_spools)
{
	return n_spools > 1 ? max - max / 4 : max;
}

size_t share_large_max(size_t max)
{
	size_t large = max / 4 < LARGE_MAX ? max / 4 : LARGE_MAX;

	return large > 0 ? large : 1;
}
