#include "daemon/keeper/erasure/erasure_announce.h"

#include <inttypes.h>
#include <syslog.h>

void erasure_announce_done(const struct root *root, const struct erasure_result *result,
		const struct erasure_done *done, size_t n)
{
	struct event_fields fields = {.epoch = (int64_t)result->epoch_after};

	/* A move destroys nothing, and must not be reported as a destruction. */
	if (result->only_moves) {
		notices_tell(root->notices, LOG_NOTICE, EVENT_PLAIN, &fields,
				"keys replaced: epoch %" PRIu64 " overwrote epoch %" PRIu64
				" (assurance %s)",
				result->epoch_after, result->epoch_before, root->copies->assurance);
		return;
	}
	notices_tell(root->notices, LOG_NOTICE, EVENT_DESTROYED, &fields,
			"keys of %" PRId64 " recording(s) destroyed: epoch %" PRIu64
			" overwrote epoch %" PRIu64 " (assurance %s)",
			result->recordings, result->epoch_after, result->epoch_before,
			root->copies->assurance);
	for (size_t i = 0; i < n; i++) {
		bool one = done[i].kind == ERASE_RECORDING;
		fields.recording = one ? done[i].subject : NULL;
		fields.account = one ? NULL : done[i].subject;
		notices_tell(root->notices, LOG_NOTICE, EVENT_DESTROYED, &fields,
				"%s %s was shredded by order of uid %u",
				one ? "recording" : "account", done[i].subject,
				(unsigned)done[i].uid);
	}
}
