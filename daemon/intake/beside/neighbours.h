/* Whether another recording needs a sidecar, when the recording it was sealed with is gone. */
#pragma once

#include <stdbool.h>

#include "daemon/common/profile/profile.h"
#include "daemon/intake/beside/sidecar.h"

/* All borrowed. */
struct neighbours {
	const struct profile *profile;
	const char *path; /* of the recording that is gone, below the spool */
	const struct sidecar *sidecar;
	size_t template; /* which of the profile's sidecars it is */
	int parent_fd;   /* the recording's folder */
	int root_fd;
};

/* Looks for such a recording: in the folder of the one that is gone, or in all of the spool, as
 * profile_sidecar_sharing() says. Bounded: true as well when the search ended without an answer. */
bool neighbours_need(const struct neighbours *n);
