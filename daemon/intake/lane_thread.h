/* The inside of a lane: what runs in the spool's thread. */
#pragma once

#include "daemon/intake/lane.h"

/* Prepares loop, watch and spool; still in the caller's thread. -errno, -RE_CONFIG. */
int lane_thread_prepare(struct lane *lane, struct reason *reason);

/* The thread. */
void lane_thread_run(void *lane);

/* Frees what lane_thread_prepare() has made, when the thread has ended, or never begun. */
void lane_thread_free(struct lane *lane);
