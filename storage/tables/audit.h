/* The audit log: hash-chained records, appended in the transaction of what they tell.
 *
 * hash_n = SHA-256(hash_{n-1} || record n, length-prefixed fields); hash_0 is the vault id,
 * zero-padded. Where the chain ends is kept beside it. The hash has no key: who rewrites all of it
 * is found by comparing with the journal, or with the anchor that each epoch's root carries. */
#pragma once

#include <sys/types.h>

#include "storage/tables/db.h"

#define AUDIT_HASH_BYTES 32

struct audit_record {
	int64_t at_us;
	uid_t uid;          /* of the caller */
	const char *action; /* "ingest", "play", "verify", "unwrap", "shred", "expire", "destroyed",
			       "refused" ... */
	const char *subject; /* recording id or account handle; never a name */
	const char *reason;  /* the caller's words, or NULL */
	uint64_t epoch;
};

int audit_append(struct db *db, const struct audit_record *record);

/* The newest hash (zero-padded vault id when there is no record). */
int audit_head(struct db *db, uint8_t ret_hash[static AUDIT_HASH_BYTES]);

/* Walks the whole chain. 0; -RE_CORRUPT with the first bad sequence number in ret_bad. */
int audit_verify(struct db *db, int64_t *ret_records, int64_t *ret_bad);
