/* Retention: when a recording's time is over, its key is erased as in a shred. Recordings of one
 * account that expire within the same bucket of time share an expiry group, so that one erasure
 * serves a whole day. Nothing expires early: a group is erased when the last of its members is due,
 * at most one bucket late. */
#pragma once

#include <uv.h>

#include "daemon/keeper/erasure/erasure.h"
#include "daemon/keeper/vault/catalog_watch.h"
#include "daemon/keeper/vault/vault_clock.h"

/* Erases what is due, at most max groups in one epoch. *ret_more: there was more than max. */
int retention_run(struct eraser *eraser, size_t max, bool *ret_more, struct reason *reason);

/* How much is buried in a stride. */
#define RETENTION_STRIDE_ROWS    512
#define RETENTION_STRIDE_OBJECTS 512

/* Timers on the loop: expiry, retries of pending erasures, and strides of burial (bury.h), one a
 * second, or twenty while there is more. */
struct retention;
struct retention_setup {
	struct eraser *eraser;        /* borrowed */
	struct vault_clock *clock;    /* borrowed */
	struct catalog_watch *watch;  /* borrowed; NULL: the catalog is not looked through */
	int64_t epoch_interval_us;    /* EpochInterval=; <0: an hour with a TPM, else at once */
	void (*stuck)(void *context); /* called when the keeper must stop (root_is_stuck()) */
	void *context;
};
int retention_start(uv_loop_t *loop, const struct retention_setup *setup,
		struct retention **ret_retention);
/* Changes EpochInterval= from now on. */
void retention_set_epoch_interval(struct retention *retention, int64_t epoch_interval_us);

struct retention *retention_stop(struct retention *retention);
