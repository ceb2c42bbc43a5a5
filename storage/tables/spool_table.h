/* Which folders may be taken from, as which spool (daemon/keeper/ingest/spool_gate.h): a row for
 * each that an intake has met. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "storage/tables/db.h"

#define SPOOL_FOLDER_BYTES 32
#define SPOOL_FOLDERS_MAX  32 /* of a spool; of more, the latest are kept */

/* Stored: the numbers stay. */
enum spool_state {
	SPOOL_HELD = 0,       /* held files when it was met: waits for a word */
	SPOOL_WAS_EMPTY = 1,  /* from here on: may be taken from */
	SPOOL_CONFIGURED = 2, /* FirstStart=take */
	SPOOL_ORDERED = 3,    /* by somebody who may */
};

struct spool_row {
	const char *name;
	const uint8_t *folder; /* SPOOL_FOLDER_BYTES: says which one it is (origin.h) */
	enum spool_state state;
	int64_t since_us;
	uid_t uid;     /* whose order it was */
	int64_t files; /* that were in it */
};

/* 1: there is such a row, and the keeper wrote it. 0: there is none. -errno. */
int spool_table_get(struct db *db, const char *name,
		const uint8_t folder[static SPOOL_FOLDER_BYTES], enum spool_state *ret_state);

/* In the caller's transaction. -RE_ALTERED when there is a row that the keeper did not write. */
int spool_table_put(struct db *db, const struct spool_row *row);
