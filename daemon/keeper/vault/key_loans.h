/* Payload keys of catalogued recordings that threads of the pool work with, so that an erasure can
 * take them back: no key outlives in memory the receipt for its destruction.
 *
 * Everything here may be called from the vault's thread; key_loan_lock() and key_loan_unlock() from
 * any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "crypto/age_stream.h"
#include "daemon/keeper/keys/key_path.h"

struct key_loan;

/* All loans there are. Starts as {0}. */
struct key_loans {
	struct key_loan *first;
};

/* A loan of the payload key below this path, which is copied. NULL when out of (secret) memory. */
struct key_loan *key_loan_new(struct key_loans *loans, const struct key_path *path,
		const uint8_t key[static AGE_PAYLOAD_KEY_BYTES]);

/* Wipes the key. No thread may have it locked. Takes NULL; returns NULL. */
struct key_loan *key_loan_free(struct key_loan *loan);

/* The key, to be used until key_loan_unlock(): for moments, since an erasure waits for it. NULL
 * when it was taken back; nothing is locked then. */
const uint8_t *key_loan_lock(struct key_loan *loan);
void key_loan_unlock(struct key_loan *loan);

/* Takes back, and wipes, what is below these paths of the key tree. loans may be NULL. */
void key_loans_recall(struct key_loans *loans, const struct key_path *paths, size_t n);
