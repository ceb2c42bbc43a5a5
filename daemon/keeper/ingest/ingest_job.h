/* A recording between begin and commit: for ingest*.c only. */
#pragma once

#include "daemon/keeper/ingest/ingest.h"

struct ingest_keys {
	uint8_t recording[REC_KEY_BYTES];
	uint8_t file[AGE_FILE_KEY_BYTES];
	uint8_t payload[AGE_PAYLOAD_KEY_BYTES];
};

struct ingest_job {
	struct ingest_keys *keys; /* in secret memory */
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
	struct recording_row row; /* all but group and private */
	struct recording_private private;
	uint8_t source[CATALOG_LOOKUP_BYTES];
	uint8_t account_handle[CATALOG_HANDLE_BYTES];
	int64_t clock_jumped_us; /* of the vault's clock, when the row got its times */
	bool overdue;            /* by its recorded time it was due already: kept for a day */
	struct object_store *store;
	struct object_draft *draft;
	uint64_t verified_chunks; /* ingest_verify() goes on here */
	bool named;               /* the object has its name */
	bool doubtful;            /* only a restart can tell whether it is catalogued */
	uint8_t *header;
	size_t header_bytes;
};
