/* What goes to the keeper with a recording: whose it is, and what lies beside it. */
#pragma once

#include "daemon/common/profile/profile.h"
#include "daemon/intake/beside/sidecar.h"
#include "daemon/intake/spool/spool.h"

struct bundle {
	char *account; /* NULL: none could be told */
	bool discarded;
	int root_fd; /* of the spool, while there are sidecars; else -1 */
	struct sidecar sidecar[PROFILE_SIDECARS_MAX];
	size_t place[PROFILE_SIDECARS_MAX]; /* which of the profile's each is */
	size_t n_sidecars;
};

/* Gathers it for a finished recording, which became so at finished_us. BUNDLE_WAIT with ret_wait_us
 * when a sidecar is still to come, or being written; BUNDLE_NO_MAP when AccountMap= cannot be read,
 * which has been told; else 0 and a bundle for bundle_free(), however bad the sidecars are. -errno.
 */
enum { BUNDLE_WAIT = 1, BUNDLE_NO_MAP };
int bundle_gather(struct spool *spool, const char *path, const struct pattern_match *match,
		bool discarded, int64_t finished_us, int64_t now_us, struct bundle **ret_bundle,
		int64_t *ret_wait_us);

/* Removes the sidecars of the recording at path, whose folder is open as parent_fd, once the
 * recording is gone and they are sealed: but not one that changed since, nor one that another
 * recording still needs. Those stay, without a word: the next recording, or a person, deals with
 * them. */
void bundle_remove_sidecars(struct bundle *bundle, int parent_fd, const struct profile *profile,
		const char *path);

struct bundle *bundle_free(struct bundle *bundle);
