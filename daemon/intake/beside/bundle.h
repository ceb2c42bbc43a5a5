/* The bundle that goes to the keeper with a recording: its account, and the sidecars beside it. */
#pragma once

#include "daemon/common/profile/profile.h"
#include "daemon/intake/beside/sidecar.h"
#include "daemon/intake/spool/spool.h"

struct bundle {
	char *account; /* NULL: none is known */
	bool discarded;
	bool wipe;   /* overwrite the sidecars before they are removed */
	int root_fd; /* of the spool, while there are sidecars; else -1 */
	struct sidecar sidecar[PROFILE_SIDECARS_MAX];
	size_t template[PROFILE_SIDECARS_MAX]; /* which of the profile's sidecars each is */
	size_t n_sidecars;
};

/* A finished recording that was claimed. */
struct bundle_recording {
	const char *path;                  /* below the spool, by its own name */
	const struct pattern_match *match; /* of profile_classify() */
	bool discarded;                    /* by its bridge */
	int64_t finished_us;
};

/* Gathers the bundle of a recording. BUNDLE_WAIT with *ret_wait_us when a sidecar is still to come,
 * or somebody is writing to it or to the map; BUNDLE_NO_MAP when AccountMap= cannot be read, which
 * has been reported; else 0 and a bundle for bundle_free(), however bad the sidecars are. -errno.
 */
enum { BUNDLE_WAIT = 1, BUNDLE_NO_MAP };
int bundle_gather(struct spool *spool, const struct bundle_recording *recording, int64_t now_us,
		struct bundle **ret_bundle, int64_t *ret_wait_us);

/* Whose the file would be if it were sealed now, malloc'd: as bundle_gather() finds it, or, while a
 * sidecar is still to come, by its name alone. -ENOENT: nobody can tell; -ENOMEM; -errno. */
int bundle_account(struct spool *spool, const struct bundle_recording *recording, int64_t now_us,
		char **ret_account);

/* Removes the sidecars of the recording at path, whose folder is open as parent_fd, once the
 * recording is gone and they are sealed. Left in place, without a report: a sidecar that has
 * changed since it was sealed, and one that another recording still needs. The next recording, or
 * a person, deals with it. */
void bundle_remove_sidecars(struct bundle *bundle, int parent_fd, const struct profile *profile,
		const char *path);

struct bundle *bundle_free(struct bundle *bundle);
