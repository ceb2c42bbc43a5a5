/* Erasure: the one way in which recordings, expiry groups and accounts are destroyed.
 *
 * The five steps of an epoch commit (epoch.h) around the catalog: note the items and stage the
 * re-keyed tree (one transaction), write the new root, overwrite the old one (the erasure point),
 * and only then say so in catalog and audit, and reply. Once past the erasure point the keeper
 * tries to open what it destroyed; success is an alarm (-RE_NOT_ERASED, with everything else done).
 *
 * All this costs as much as the items do, however many recordings are below them. Rows and objects
 * of what is destroyed, unreadable by then, are cleared away afterwards (bury.h). */
#pragma once

#include <sys/types.h>

#include "daemon/keeper/vault/vault.h"
#include "storage/tables/erasure_table.h"

struct erasure_result {
	int64_t recordings, plain_bytes;
	uint64_t epoch_before, epoch_after;
	int64_t destroyed_us;
	bool only_moves; /* nothing was destroyed: keys only left former places */
};

/* Erases n items in one epoch. Returns only when the erasure point is passed, and the catalog
 * durably says for all that was below them that it is destroyed. uid and reason go to the audit
 * log. -errno or -RE_*: then nothing is destroyed yet; but what is noted by then
 * (erasure_table_is_noted) is carried out later, or (after the erasure point) said to be destroyed
 * at the next start. With -RE_CORRUPT the vault's trouble says what is damaged; with -RE_AWAY, which
 * mirror of the root it waits for. */
int erasure_run(struct vault *vault, const struct erasure_item *items, size_t n, uid_t uid,
		const char *reason, struct erasure_result *ret_result);

/* The same without items of its own: prepare changes what it will, and notes former places
 * (former_node.h), in the transaction that stages the epoch, so that the one is not without the
 * other. Below 0 from prepare: nothing has changed. */
int erasure_run_with(struct vault *vault, int (*prepare)(struct vault *vault, void *context),
		void *context, struct erasure_result *ret_result);

/* At start: finishes what a crash interrupted. forward is what epoch_recover() gave (NULL: nothing
 * past its erasure point); then what is noted and had not come so far is carried out. */
int erasure_recover(struct vault *vault, const struct root_record *forward);

/* Carries out what is noted but could not be done when it was asked for. */
int erasure_retry(struct vault *vault);
