/* The look at a candidate: is it there, is it what it should be, is it finished? And what becomes
 * of it after its job. */
#pragma once

#include "daemon/intake/intake_state.h"

/* Looks at a taken candidate: starts a job with it, returns it to the queue for later, or drops it.
 */
void look_at(struct intake *intake, struct candidate *candidate);

/* Returns or drops the candidate of a job that has ended. */
void look_after(struct intake *intake, const struct job_outcome *outcome);
