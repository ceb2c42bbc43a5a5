/* Calls with one reply that need a long look at an account: they look a bounded number of rows at
 * a time, in several turns of the loop. */
#pragma once

#include "daemon/keeper/control/control_method.h"

/* Finds out from when to when the account has recordings, and then lets answer() answer the call:
 * times of 0 say that it has none. Other calls come in between, so answer() looks at everything
 * else afresh. CONTROL_ANSWERED; -ENOMEM. */
typedef int control_span_answer(struct control_call *call, const struct recording_span *span);
int control_look_span(struct control_call *call, int64_t account, control_span_answer *answer);
