/* A recording between begin and commit: for ingest*.c only. */
#pragma once

#include "daemon/keeper/ingest/ingest.h"

struct ingest_keys {
	uint8_t recording[REC_KEY_BYTES];
	uint8_t file[AGE_FILE_KEY_BYTES];
	uint8_t payload[AGE_PAYLOAD_KEY_BYTES];
};

/* The recording that a file with this identity was sealed as before (ingest_earlier.c). */
struct ingest_earlier {
	int64_t id; /* 0: none */
	uint8_t ulid[ULID_BYTES];
	int object_fd; /* to compare with; -1: nothing is to be compared */
	off_t payload_offset;
	struct key_loan *loan;
	uint64_t compared_chunks; /* ingest_earlier_compare() goes on here */
	bool same;                /* compared to the end: the same bytes */
	int error;                /* why it could not be compared */
};

struct ingest_job {
	struct ingest_job *next, **link; /* in the list of all jobs */
	struct ingest_keys *keys;        /* in secret memory */
	uint8_t nonce[AGE_PAYLOAD_NONCE_BYTES];
	struct recording_row row; /* all but group and private */
	struct recording_private private;
	uint8_t source[CATALOG_LOOKUP_BYTES];
	bool firm; /* of the source: see ingest_request */
	uint8_t account_handle[CATALOG_HANDLE_BYTES];
	/* Of an account that the commit is to make: then row.account is 0, and the handle fresh. */
	uint8_t *new_account;
	size_t new_account_len;
	int64_t clock_jumped_us; /* of the vault's clock, when the row got its times */
	bool overdue;            /* by its recorded time it was due already: kept for a day */
	struct object_store *store;
	struct object_draft *draft;
	uint64_t verified_chunks; /* ingest_verify() goes on here */
	struct ingest_earlier earlier;
	bool named;    /* the object has its name */
	bool doubtful; /* only a restart can tell whether it is catalogued */
	uint8_t *header;
	size_t header_bytes;
};

/* Decides whose the recording is: sets the job's account, its handle and its state; ret_why says
 * why it is quarantined, "" when it is not. */
#define INGEST_WHY_BYTES 160
int ingest_account_place(struct ingest *ingest, struct ingest_job *job,
		const struct ingest_request *request, char ret_why[static INGEST_WHY_BYTES]);

/* Whether the account may still have it, and the handle is still its own: -RE_REFUSED if not, and
 * the intake begins once more. */
int ingest_account_admits(struct ingest *ingest, struct ingest_job *job);

/* Makes the account if there is none yet, in the caller's transaction. */
int ingest_account_make(struct ingest *ingest, struct ingest_job *job);

/* Compares the next stride with the earlier recording. 1: there is more to compare; 0: the job says
 * what came of it. */
int ingest_earlier_compare(struct ingest_job *job);

/* In the caller's transaction: INGEST_EXISTS, ... if the earlier recording, which holds the same
 * bytes, is still what it was; -RE_REFUSED if not. */
int ingest_earlier_recognise(struct ingest *ingest, const struct ingest_job *job);

/* Whether the source may be this job's from now on. -EEXIST when the same file was committed
 * meanwhile, -RE_REFUSED when its recording was destroyed meanwhile: begin once more. */
int ingest_earlier_admits(struct ingest *ingest, const struct ingest_job *job);

/* Ends the comparison, if there was one. */
void ingest_earlier_clear(struct ingest_earlier *earlier);
