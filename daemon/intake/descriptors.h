/* How many recordings may be in progress with the descriptors that this process may have. */
#pragma once

#include <stddef.h>

/* Raises the soft limit to the hard one; returns the limit, SIZE_MAX when it is not known. */
size_t descriptors_limit(void);

/* At most `wanted` jobs, at least one: no more than the limit leaves descriptors for. */
size_t descriptors_jobs(size_t limit, size_t wanted, size_t n_spools);
