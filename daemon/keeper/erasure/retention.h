/* Retention, first form: when a recording's time is over, its key is erased like in any shred.
 * Recordings of one account that expire within one bucket of time share an expiry group, so a day's
 * worth costs one batch. Never early: a group is erased when the last of its members is due, at
 * most one bucket late. */
#pragma once

#include <uv.h>

#include "daemon/keeper/vault/vault.h"

/* Erases what is due, at most max groups in one epoch. *ret_more: there was more than max. */
int retention_run(struct vault *vault, size_t max, bool *ret_more);

/* How much is buried in a stride. */
#define RETENTION_STRIDE_ROWS    512
#define RETENTION_STRIDE_OBJECTS 512

/* Timers on the loop: expiry, retries of pending erasures, and strides of burial (bury.h), one a
 * second, or twenty while there is more.
 * stuck is called when the keeper must stop (vault->stuck). */
struct retention;
int retention_start(uv_loop_t *loop, struct vault *vault, void (*stuck)(void *context),
		void *context, struct retention **ret_retention);
struct retention *retention_stop(struct retention *retention);
