/* The notes of what is to be erased: added through the gate, collected for an epoch, and recorded
 * in the audit log with who ordered them. All writing is in the caller's transaction. */
#pragma once

#include "base/reason.h"
#include "daemon/keeper/keys/key_path.h"
#include "daemon/keeper/vault/audit_log.h"
#include "storage/tables/erasure_table.h"

/* Paths in the key tree of everything that is noted. */
struct victims {
	struct key_path *paths;
	size_t count, room;
	bool destroys;   /* not only keys that a move left behind */
	bool rekeys_all; /* erasure_notes_collect_accounts() */
};

/* Notes one item and records the order, if the gate lets it pass. 0; -RE_REFUSED; -errno, -RE_*. */
int erasure_notes_add(const struct audit_log *audit, const struct erasure_item *item,
		uint64_t epoch, struct reason *reason);

/* Collects everything that is noted. The caller frees victims, also on failure. */
int erasure_notes_collect(struct db *db, struct victims *victims, struct reason *reason);
/* Adds something that is not there below every account: nothing is erased by it, but every account
 * and all that is above gets a fresh key. */
int erasure_notes_collect_accounts(struct db *db, struct victims *victims);
void erasure_notes_free(struct victims *victims);

/* How many items are noted. */
int erasure_notes_count(struct db *db, size_t *ret_count);

/* 1 when anything is noted, 0 when nothing is. */
int erasure_notes_any(struct db *db);

/* A shred that was carried out: for telling who ordered it, however long ago. */
struct erasure_done {
	enum erasure_kind kind;
	char subject[ULID_TEXT_CHARS + 1]; /* a recording's id or an account's handle */
	uid_t uid;
};

/* Before the notes are cleared: a record of each shred that this epoch carries out, with the uid
 * and the reason of whoever ordered it. What expired is one record of the epoch, which the caller
 * writes. *ret_done is an array to free(), NULL for none. */
int erasure_notes_record_done(const struct audit_log *audit, uint64_t epoch,
		struct erasure_done **ret_done, size_t *ret_count);

/* If a copy of this root was given up: the keys that it opens would also open what is sealed under
 * them later. So every account gets a fresh key, and later recordings get new groups. Where a
 * damaged key makes that impossible (all == false), the next epoch has to do it. */
int erasure_notes_shut_out(struct db *db, uint64_t epoch, bool all, struct victims *victims);
