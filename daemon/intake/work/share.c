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

/* What of max is kept for each spool, whatever the others have. */
static size_t share_kept(size_t max, size_t n_spools)
{
	size_t kept = n_spools > 1 ? max / 4 / n_spools : 0;

	return kept > 0 || n_spools == 1 ? kept : 1;
}

static size_t share_beyond(const struct share *share, size_t kept)
{
	return share->active > kept ? share->active - kept : 0;
}

bool share_may_begin(const struct share *shares, size_t n_spools, size_t i, size_t max)
{
	size_t kept = share_kept(max, n_spools), well = 0, hung = 0;

	if (shares[i].active < kept)
		return true;
	for (size_t j = 0; j < n_spools; j++)
		*(shares[j].hung ? &hung : &well) += share_beyond(&shares[j], kept);
	size_t beyond_bound = hung > max ? hung - max : 0;
	size_t limit = share_active_max(max, n_spools);
	return shares[i].active < limit && well + beyond_bound < limit;
}

bool share_may_be_large(const struct share *shares, size_t n_spools, size_t i, size_t max)
{
	size_t large = 0;

	for (size_t j = 0; j < n_spools; j++)
		large += shares[j].hung ? 0 : shares[j].large;
	return shares[i].large == 0 ||
	       (large < share_large_max(max) && shares[i].large < share_large_max(max));
}
