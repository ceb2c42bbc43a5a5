/* Erasure: the one way in which recordings, expiry groups and accounts are destroyed.
 *
 * The five steps of an epoch commit (epoch.h) around the catalog: note the items and stage the
 * re-keyed tree (one transaction), write the new root, overwrite the old one (the erasure point),
 * and only then make tombstones, audit and reply. Once past the erasure point the keeper tries to
 * open what it destroyed; success is an alarm (-RE_NOT_ERASED, with everything else done). */
#pragma once

#include <sys/types.h>

#include "daemon/keeper/vault.h"
#include "storage/erasure_table.h"

struct erasure_result {
	int64_t recordings, plain_bytes;
	uint64_t epoch_before, epoch_after;
	int64_t destroyed_us;
	bool only_moves; /* nothing was destroyed: keys only left former places */
};

/* Erases n items in one epoch. Returns only after the erasure point and the tombstones are durable.
 * uid and reason go to the audit log. -errno or -RE_*: then nothing is destroyed yet; but
 * what is noted by then (erasure_is_noted) is carried out later, or (after the erasure point) gets its
 * tombstones at the next start. With -RE_CORRUPT the vault's trouble
 * says what is damaged. */
int erasure_run(struct vault *vault, const struct erasure_item *items, size_t n, uid_t uid,
	const char *reason, struct erasure_result *ret_result);

/* The same without items of its own: prepare changes what it will, and notes former places
 * (former_place.h), in the transaction that stages the epoch, so that the one is not without the
 * other. Below 0 from prepare: nothing has changed. */
int erasure_run_with(struct vault *vault, int (*prepare)(struct vault *vault, void *context),
	void *context, struct erasure_result *ret_result);

/* At start: finishes what a crash interrupted. forward is what epoch_recover() gave (NULL: nothing
 * past its erasure point); then what is noted and had not come so far is carried out. */
int erasure_recover(struct vault *vault, const struct root_record *forward);

/* Carries out what is noted but could not be done when it was asked for. */
int erasure_retry(struct vault *vault);

/* Unlinks up to max objects whose keys are gone; *ret_more says whether there are others. */
int erasure_remove_objects(struct vault *vault, size_t max, bool *ret_more);
