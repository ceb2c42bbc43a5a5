/* Sidecars whose names do not lead to their recording (LiveKit's EG_<id>.json). They are found by
 * their content, which has the recording's name, as the last part of a path in quotes. */
#pragma once

#include "daemon/common/profile/profile.h"
#include "daemon/intake/beside/sidecar.h"

/* Whether the sidecar names this file. */
bool manifest_names(const struct sidecar *sidecar, const char *name);

/* Looks for the i-th sidecar of the recording at path, in its folder: among files that match the
 * template and were written about finished_us or later, the ones nearest to it. Bounded. 0 or
 * SIDECAR_LARGE, as sidecar_read(); SIDECAR_MISSING; SIDECAR_BUSY when a file that cannot be read
 * yet may be the one; -errno. */
int manifest_read(int root_fd, const struct profile *profile, size_t i, const char *path,
		int64_t finished_us, int64_t now_us, int64_t settle_us, struct sidecar *ret_sidecar,
		struct sidecar_about *ret_about);
