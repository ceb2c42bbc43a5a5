/* What the plan and the statement of a shred name besides what it destroys: the other parts of a
 * recording, and plaintext that lies in the spools. Found out in several turns of the loop, before
 * anything is destroyed: while the account's name can be read. */
#pragma once

#include "daemon/keeper/control/control_method.h"
#include "daemon/keeper/control/shred_parts.h"

struct shred_findings {
	struct recording_span span; /* of the account */
	struct shred_parts parts;   /* of the recording */
	json_t *spools;             /* of SpoolLook */
};

/* Answers the call; other calls have come in between, so it looks at everything else afresh. */
typedef int shred_look_answer(struct control_call *call, const struct shred_findings *findings);

/* Looks, and then lets answer() answer. recording NULL: all of the account. Everything but the call
 * may go after the return. CONTROL_ANSWERED; -errno, -RE_*. */
int shred_look_start(struct control_call *call, const struct account_row *account,
		const struct recording_row *recording, shred_look_answer *answer);

/* The findings as members of a plan or a result; taken: whether the parts are destroyed as well.
 * NULL when out of memory. */
json_t *shred_look_members(struct vault *vault, const struct shred_findings *findings, bool taken);
