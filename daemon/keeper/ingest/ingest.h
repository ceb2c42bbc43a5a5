/* Ingest: from the intake's request to a catalogued recording. No sockets here.
 *
 * States of one recording on disk, and what a crash in each leaves:
 *
 *     plaintext in spool                       found again
 *     + unnamed object                         vanishes with its last descriptor; found again
 *     + named object, no catalog row           set aside at start, its key was never stored; found
 * again
 *     + catalog row, node rows, source hash    found again, known by its source hash: only unlinked
 *     plaintext unlinked                       done
 */
#pragma once

#include "daemon/common/config/config.h"
#include "daemon/common/wire/probe_wire.h"
#include "daemon/keeper/root/root.h"
#include "daemon/keeper/vault/predecessors.h"
#include "daemon/keeper/vault/recordings.h"
#include "daemon/keeper/vault/vault_clock.h"
#include "storage/objects/object_store.h"

/* What ingest works on; all borrowed. */
struct ingest {
	struct root *root;
	struct vault_clock *clock;
	struct predecessors *predecessors;
	struct recordings recordings;
	const struct config *config; /* for its classes */
};

struct ingest_request {
	const uint8_t *account; /* name bytes; NULL when the profile found none */
	size_t account_len;
	const char *spool, *class; /* of a class that the configuration has */
	const uint8_t *path;       /* below the spool */
	size_t path_len;
	uint8_t source[CATALOG_LOOKUP_BYTES];
	int64_t recorded_us;
	uint64_t plain_bytes;
	uint64_t promised_bytes; /* that open jobs have still to write */
	struct probe_result probe;
	json_t *sidecars; /* borrowed, checked; NULL: none */
	bool discarded;
};

struct ingest_job;

/* What the intake needs to seal. Borrowed from the job; payload_key in secret memory. */
struct ingest_start {
	const uint8_t *recording_id;
	const uint8_t *header;
	size_t header_bytes;
	const uint8_t *nonce;
	const uint8_t *payload_key;
	int object_fd;
};

/* 0: *ret_job is open, until commit or abort. 1: this very file is catalogued already, as
 * ret_existing; INGEST_OTHER_SIDECARS: it is, but not with these sidecars. <0: keep the plaintext;
 * -RE_PAYLOAD when it is catalogued, but its object is missing or damaged; -RE_CONFIG when there is
 * no such class; -ENOSPC when there is no room for the object: a sparse file may claim more than
 * any disk has, and is not to fill it up for the others before it fails. */
enum { INGEST_EXISTS = 1, INGEST_OTHER_SIDECARS };
int ingest_begin(struct ingest *ingest, const struct ingest_request *request,
		struct ingest_job **ret_job, uint8_t ret_existing[static ULID_BYTES]);
void ingest_start(const struct ingest_job *job, struct ingest_start *ret_start);

/* Commits n jobs together: verifies each object, names them, syncs the directory, and catalogues
 * them in one transaction. results[i] is 0 (durable; the plaintext may go) or negative (keep it).
 * Jobs are ended by it either way. Whatever fails for one only concerns that one; what fails for
 * the transaction concerns all, and sets root->stuck when only a restart can tell what is durable.
 */
void ingest_commit(struct ingest *ingest, struct ingest_job **jobs, size_t n, int *results);

/* What the intake has still to write into the job's object, about. */
uint64_t ingest_unwritten_bytes(const struct ingest_job *job);

/* Ends a job without a trace. Takes NULL; returns NULL. */
struct ingest_job *ingest_abort(struct ingest_job *job);

const uint8_t *ingest_recording_id(const struct ingest_job *job);
