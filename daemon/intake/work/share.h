/* What the jobs of one spool take, and what they may take, so that no spool keeps another waiting.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct share {
	size_t before;  /* jobs that have not begun with the keeper */
	size_t probing; /* of these, with the probe */
	size_t active;  /* jobs that have begun */
	unsigned slow;  /* so many probes in a row took long */
};

/* So many of a spool may be with the probe, or done with it and waiting to begin. */
size_t share_before_max(size_t n_spools);

/* Whether spool i of n may have one more. */
bool share_has_room(const struct share *shares, size_t n_spools, size_t i);

/* Whether its next file is to go without a probe: a label is not worth hours of plaintext. */
bool share_skips_probe(const struct share *share);

/* How many of max places for active jobs one of n spools may have: with several, never all. */
size_t share_active_max(size_t max, size_t n_spools);

/* How many of max places large files may have. */
size_t share_large_max(size_t max);
