/* What belongs together with a recording that is to be shredded: the other recordings of its
 * account that were sealed from the same path of the same spool. A bridge that pauses and goes on,
 * or that appends, leaves a call in several such parts; and a file that could not be recognised
 * after it was sealed (docs/plaintext.md) is there twice.
 *
 * Paths are sealed under the keys of the recordings, so this reads the account's recordings one by
 * one: a bounded number in one step, and not for longer than PARTS_TIME_US in all. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "daemon/keeper/open/vault.h"

#define PARTS_MAX     256
#define PARTS_TIME_US (20 * INT64_C(1000000))

struct shred_parts {
	struct erasure_item items[PARTS_MAX]; /* kind, cause and place only */
	size_t n;
	int64_t plain_bytes;
	json_t *list; /* of ShredPart */
	bool more;    /* there are, or may be, others */

	/* The look's own. */
	int64_t recording;
	struct recording_filter filter;
	struct recording_private of; /* the recording's */
	int64_t until_us;            /* monotonic */
};

/* Begins a look. For shred_parts_clear() in any case. -errno, -RE_*. */
int shred_parts_begin(struct shred_parts *parts, struct vault *vault,
		const struct recording_row *recording);

/* One step. 1: there are more to look at; 0: all were looked at, or the time is over (parts->more).
 * -errno, -RE_*. */
int shred_parts_step(struct shred_parts *parts, struct vault *vault);

/* Wipes what it knows. */
void shred_parts_clear(struct shred_parts *parts);
