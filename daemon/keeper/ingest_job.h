/* A recording between begin and commit: for ingest*.c only. Lives in secret memory. */
#pragma once

#include "daemon/keeper/ingest.h"

struct ingest_job {
	uint8_t recording_key[REC_KEY_BYTES];
	uint8_t file_key[AGE_FILE_KEY_BYTES];
	uint8_t payload_key[AGE_PAYLOAD_KEY_BYTES];
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
	struct recording_row row; /* all but group and private */
	struct recording_private private;
	uint8_t source[CATALOG_LOOKUP_BYTES];
	uint8_t account_handle[CATALOG_HANDLE_BYTES];
	int64_t keep_us;
	struct object_draft draft;
	uint8_t *header;
	size_t header_bytes;
};
