/* The share of one spool in the jobs: how much it uses and how much it may use, so that no spool
 * keeps another one waiting. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct share {
	size_t before;  /* jobs that have not begun with the keeper */
	size_t probing; /* of these, with the probe */
	size_t active;  /* jobs that have begun */
	size_t large;   /* large files among all of its jobs */
	unsigned slow;  /* how many probes in a row took long */
	bool hung;      /* its filesystem does not answer */
};

/* How many jobs of a spool may be with the probe, or done with it and waiting to begin. */
size_t share_before_max(size_t n_spools);

/* Whether spool i of n may have one more job. */
bool share_has_room(const struct share *shares, size_t n_spools, size_t i);

/* Whether the spool's next file is sealed without being probed: to know its format is not worth
 * hours in plaintext. */
bool share_skips_probe(const struct share *share);

/* How many of max active jobs one of n spools may have: with several spools, never all. */
size_t share_active_max(size_t max, size_t n_spools);

/* Whether spool i of n may have one more active job, of about max. A few are always kept for each
 * spool: whatever the others do, it gets them. The rest is for all; what a spool that hangs has of
 * it does not count, up to max, so that all such spools together take nothing from the others. At
 * most 2 * max + n jobs are active. */
bool share_may_begin(const struct share *shares, size_t n_spools, size_t i, size_t max);

/* How many of max active jobs may be large files. */
size_t share_large_max(size_t max);

/* Whether spool i of n may have one more large file: the first one always, more while there are
 * fewer than share_large_max() in all. */
bool share_may_be_large(const struct share *shares, size_t n_spools, size_t i, size_t max);
