/* Ingest: from the intake's request to a catalogued recording. No sockets here.
 *
 * States of one recording, what is on disk in each, and what a crash there leaves:
 *
 *     BEGUN       plaintext, unnamed object      the object vanishes with its last descriptor;
 *                                                the intake's scan finds the plaintext again
 *     VERIFIED    the same                       the same
 *     NAMED       plaintext, named object        a start sets the object aside: its key was
 *                                                never stored; the plaintext is found again
 *     CATALOGUED  plaintext, named object, rows  found again, sealed once more, and then known
 *                                                by its content: only unlinked
 *     (answered)  named object, rows             done
 *
 *     BEGUN -> VERIFIED       ingest_verify()     any thread
 *     VERIFIED -> answered    ingest_catalogue()  its content is catalogued already: `already`
 *     VERIFIED -> NAMED       ingest_name()       any thread; several jobs share one sync
 *     NAMED -> CATALOGUED     ingest_catalogue()  the vault's thread; one transaction
 *     NAMED -> gone           ingest_unname()     any thread; what was named and not catalogued
 *
 * Why nothing is lost. The name is durable before the transaction begins, so a catalogued recording
 * has an object after any crash; the transaction is durable before the intake is answered, and the
 * intake unlinks the plaintext only after the answer. Whatever the account, the source or the vault
 * have become while other threads verified and named is looked at again inside the transaction.
 *
 * What verifying shows. The intake writes the object, and reports it written and synced; between
 * its memory and the disk a bit may flip. With Verify=full (the default) ingest_verify() reads all
 * of the object back from the medium (object_store_read_back()): header and nonce must be those
 * that were handed out, and the tag of every chunk must fit the payload key, the chunk's number
 * and, for the last one, the final flag. A tag of Poly1305 (RFC 8439, section 2.8) covers each
 * byte of its chunk; a change by chance passes with a probability of 2^-100 or so. So what is on
 * the medium opens, from end to end, under the key that the catalog is about to keep, and nobody's
 * word is taken for it. A digest sent by the intake would show less (that the bytes are those it
 * had in its memory, right or wrong), and costs three times as much, on both sides. The keeper
 * decrypts nothing: no audio comes into its memory.
 *
 * What verifying does not show: that the audio under the tags is the recording's. A flipped bit in
 * the intake's memory before the sealing, or an intake that lies, seals something else, and that
 * opens. Nor can it see behind the disk: a drive may answer from its own cache.
 *
 * Whose the object is. Before it is verified it is taken from the intake (object_store_own()): an
 * intake that was taken over, and keeps a descriptor or a mapping, has none of the file that is
 * verified and named.
 *
 * Verify=ends reads size, header, nonce and last chunk only: the object is as long as it should be
 * and was sealed with the right key to its end. Its middle is taken on trust. */
#pragma once

#include "daemon/common/wire/probe_wire.h"
#include "daemon/keeper/root/root.h"
#include "daemon/keeper/vault/key_loans.h"
#include "daemon/keeper/vault/predecessors.h"
#include "daemon/keeper/vault/recordings.h"
#include "daemon/keeper/vault/vault_clock.h"
#include "storage/objects/object_store.h"

struct config;

/* What ingest works on; all borrowed. */
struct ingest {
	struct root *root;
	struct vault_clock *clock;
	struct predecessors *predecessors;
	struct key_loans *loans;
	struct ingest_job *open; /* all there are; the list is ingest's */
	struct recordings recordings;
	const struct config *config; /* for its classes and settings */
};

struct ingest_request {
	const uint8_t *account; /* name bytes; NULL when the profile found none */
	size_t account_len;
	const char *spool, *class; /* of a class that the configuration has */
	const uint8_t *path;       /* below the spool */
	size_t path_len;
	uint8_t source[CATALOG_LOOKUP_BYTES];
	bool firm; /* the source's filesystem gives no two files the same identity, ever */
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

/* 0: *ret_job is open, until commit or abort. <0: keep the plaintext; -RE_CONFIG when there is no
 * such class; -ENOSPC when there is no room for the object: a sparse file may claim more than any
 * disk has, and is not to fill it up for the others before it fails. Nothing is stored. */
int ingest_begin(struct ingest *ingest, const struct ingest_request *request,
		struct ingest_job **ret_job);
void ingest_start(const struct ingest_job *job, struct ingest_start *ret_start);

/* The intake has the object's descriptor: the keeper gives up its own that writes. */
void ingest_given(struct ingest_job *job);

/* The intake says that the object is complete: looks for the recording that the same file may have
 * been sealed as before, for ingest_verify() to compare with. Once is enough. The vault's
 * thread. */
void ingest_find_earlier(struct ingest *ingest, struct ingest_job *job);

/* Takes the object from the intake, checks it, and compares it with the earlier recording, if there
 * is one: the next stride of that, INGEST_STRIDE_CHUNKS chunks at most; ends_only: all there is to
 * check for Verify=ends. 1: there is more to do. 0: the object is right, to its end. <0: it is not
 * (-RE_PAYLOAD), or cannot be read. Memory: INGEST_VERIFY_BYTES, for the call. */
#define INGEST_STRIDE_CHUNKS 1024 /* 64 MiB: others that use the thread get a turn in between */
#define INGEST_VERIFY_BYTES  ((size_t)1 << 20)
int ingest_verify(struct ingest_job *job, bool ends_only);

/* Whether verifying takes more than one stride. */
bool ingest_is_long(const struct ingest_job *job, bool ends_only);

/* Names the objects of those jobs whose results are 0, durably; one thread at a time. A failed sync
 * is the failure of all. results[i] becomes negative for those that failed. */
void ingest_name(struct ingest_job *const *jobs, size_t n, int *results);

/* Catalogues those jobs whose results are 0 in one transaction. results[i] stays 0 (durable; the
 * plaintext may go) or becomes negative (keep it). INGEST_EXISTS: the same bytes are catalogued
 * already, as ingest_earlier_id(), in an object that was read to its end, and the plaintext may go;
 * INGEST_OTHER_SIDECARS: they are, but not with these sidecars.
 *
 * Whatever fails for one only concerns that one; what fails for the transaction concerns all, and
 * is -RE_UNKNOWN when only a restart can tell what is durable (root_is_stuck()). True:
 * ingest_unname() has something to do. */
enum { INGEST_EXISTS = 1, INGEST_OTHER_SIDECARS };
bool ingest_catalogue(
		struct ingest *ingest, struct ingest_job *const *jobs, size_t n, int *results);

/* Removes the names of objects that were not catalogued. An object that cannot be removed is set
 * aside at the next start. */
void ingest_unname(struct ingest_job *const *jobs, size_t n, const int *results);

/* About how many bytes the intake has still to write into the job's object. */
uint64_t ingest_unwritten_bytes(const struct ingest_job *job);

/* Ends a job without a trace. Takes NULL; returns NULL. */
struct ingest_job *ingest_abort(struct ingest_job *job);

const uint8_t *ingest_recording_id(const struct ingest_job *job);
const uint8_t *ingest_earlier_id(const struct ingest_job *job);

/* What the journal says about a job; borrowed from the job. */
struct ingest_summary {
	const uint8_t *recording, *account_handle;
	const char *spool;
	const char *quarantine; /* why; NULL when it is not quarantined */
	const char *damage;     /* what is wrong with the recording itself; NULL: nothing */
	bool discarded;
	bool overdue; /* due by its recorded time already (expiry.h) */
	int64_t plain_bytes;
};
void ingest_summarise(const struct ingest_job *job, struct ingest_summary *ret_summary);

/* Called for what the journal should show. */
struct ingest_observer {
	/* A recording is catalogued, durably. */
	void (*sealed)(void *context, const struct ingest_summary *what);
	/* The object differs from what was sealed, or could not be read back (error). It is thrown
	 * away, and the plaintext stays. */
	void (*spoiled)(void *context, const struct ingest_summary *what, int error);
	/* A connection was refused; or a session was closed because of what the intake sent. */
	void (*turned_away)(void *context, int error);
	void (*disconnected)(void *context, int error);
	void *context;
};
