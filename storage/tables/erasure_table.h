/* Erasures under way, so that one which a crash interrupted can be finished, and objects still to
 * be removed. All in the caller's transaction. Noting and finishing cost time for each item, not
 * for each recording below it (a group's members are counted once, when it is noted). */
#pragma once

#include <sys/types.h>

#include "storage/tables/catalog.h"

enum erasure_cause {
	CAUSE_SHRED = 1,
	CAUSE_EXPIRY,
};

/* Ids of the catalog. Those above the thing itself are set too: a group's account, a recording's
 * group and account. */
struct erasure_item {
	enum erasure_kind kind;
	enum erasure_cause cause;
	int64_t account, group, recording;
	uid_t uid;          /* who ordered it; 0 also for what the keeper does by itself */
	const char *reason; /* in whose words; NULL: none. Borrowed */
};

/* Notes the item. What it covers is pending from now on, and counted so. Where it is noted already,
 * the first order stands. In erasure_table_each() the reason is valid during the visit. */
int erasure_table_note(struct db *db, const struct erasure_item *item);
int erasure_table_each(struct db *db, int (*visit)(void *context, const struct erasure_item *item),
		void *context);

/* Whether this very item is noted: 1, 0. */
int erasure_table_is_noted(struct db *db, const struct erasure_item *item);
/* 1 when the account itself is noted, so that nothing may be added to it; 0 when not. */
int erasure_table_account_is_noted(struct db *db, int64_t account);

/* Makes every noted item final, and clears the notes: accounts and single recordings become
 * tombstones, and the recordings of an account or a group are destroyed for every reader. Their own
 * rows, the account's groups, and the node rows below the erased are left to burials
 * (burial_table.h). */
int erasure_table_finish(struct db *db, int64_t now_us, uint64_t epoch, int64_t *ret_recordings,
		int64_t *ret_plain_bytes);

/* Objects whose keys are gone: up to max ids; then erasure_table_removal_done() for each that was
 * unlinked. */
int erasure_table_list_removals(
		struct db *db, uint8_t (*ret_ulids)[ULID_BYTES], size_t max, size_t *ret_count);
int erasure_table_removal_done(struct db *db, const uint8_t ulid[static ULID_BYTES]);
