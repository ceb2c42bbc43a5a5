/* The files beside recordings: whether one of them is sealed with a recording is only known when
 * all recordings were looked at. */
#pragma once

#include "daemon/intake/beside/bundle.h"
#include "daemon/intake/plan/fate.h"

struct plan_beside {
	struct plan_beside_file {
		char *path;
		uint64_t bytes;
		bool sidecar; /* its name may be a sidecar's */
	} * files;
	struct plan_beside_sealed {
		char *path;
		char *account; /* of the recording; NULL: none */
	} * sealed;
	size_t n_files, room_files, n_sealed, room_sealed;
};

/* A file beside recordings. The path is copied. -ENOMEM. */
int plan_beside_add(struct plan_beside *beside, const char *path, uint64_t bytes, bool sidecar);
/* The sidecars of a recording that is taken. -ENOMEM. */
int plan_beside_seal(struct plan_beside *beside, const struct bundle *bundle);
/* Hands all files to the sink. */
void plan_beside_tell(struct plan_beside *beside, const struct plan_sink *sink);
void plan_beside_clear(struct plan_beside *beside);
