/* What follows an erasure of an account or a group, in the caller's transaction, a bounded number
 * of rows at a time.
 *
 * From the erasure's own transaction on a burial is what says that its recordings are destroyed:
 * all readers see that (recording_now in schema.h), whatever the recordings' own rows still say.
 * Burying writes it into them, takes their private data out, and queues their objects for removal.
 * Until then a row's private data is a box whose key is gone, as it would be in any backup. A crash
 * loses nothing: what is left to be buried is what this table names. */
#pragma once

#include "storage/tables/catalog.h"

struct burial {
	enum erasure_kind kind; /* ERASE_ACCOUNT or ERASE_GROUP */
	int64_t id;
	int64_t after_id; /* its recordings up to this one are buried */
};

/* Does nothing when it is being buried already. */
int burial_table_add(struct db *db, enum erasure_kind kind, int64_t id, enum recording_state state,
		int64_t now_us, uint64_t epoch);
/* 1, and the state that it gives its recordings, when the group (0: none) or the account is being
 * buried; 0 when not. */
int burial_table_covers(
		struct db *db, int64_t account, int64_t group, enum recording_state *ret_state);

/* The one to go on with. 1 when there is one, 0 when nothing is left. */
int burial_table_next(struct db *db, struct burial *ret_burial);
/* Buries its next recordings, at most max, and says how many were looked at: fewer than max were
 * the last. burial is moved on. */
int burial_table_stride(struct db *db, struct burial *burial, int64_t max, int64_t *ret_looked_at);
/* All its recordings are buried, and whatever else its caller drops is gone. */
int burial_table_done(struct db *db, const struct burial *burial);
