#include "daemon/keeper/control/control_look.h"

#include <errno.h>
#include <stdlib.h>

struct look {
	struct control_call call;
	struct recording_span span;
	control_span_answer *answer;
};

static void look_next(struct varlink_call *varlink, void *state)
{
	struct look *look = state;
	int r = catalog_recording_span(look->call.vault->db, &look->span);

	if (r == -EAGAIN)
		return;
	if (r == -ENOENT)
		look->span.oldest_us = look->span.newest_us = 0;
	if (r == 0 || r == -ENOENT)
		r = look->answer(&look->call, &look->span);
	if (r < 0)
		control_answer_failed(&look->call, r);
}

static const struct varlink_stream look_turns = {.next = look_next, .free = free};

int control_look_span(struct control_call *call, int64_t account, control_span_answer *answer)
{
	struct look *look = calloc(1, sizeof(*look));

	if (!look)
		return -ENOMEM;
	*look = (struct look){.call = *call, .span.account = account, .answer = answer};
	varlink_call_defer(call->varlink, &look_turns, look);
	return CONTROL_ANSWERED;
}
