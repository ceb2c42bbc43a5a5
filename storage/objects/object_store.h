/* Where sealed objects are: everything the keeper asks of a store, whatever the store is made of.
 * Callers use this header; who makes a store fills the table of object_table.h.
 *
 * An object is written once and never changed. Its life, and the function of each step:
 *
 *     object_store_create()          a draft: nobody finds it, a crash leaves nothing to be found
 *     (the intake writes it)         through object_store_draft_fd()
 *     object_store_read_back()       what the medium holds of the draft
 *     object_store_publish()         the object has its name: open() finds it
 *     object_store_sync_published()  the name survives a power loss
 *     object_store_remove()          open() finds it no more
 *     object_store_sync_removed()    it does not come back after a power loss
 *
 * Threads. Any function may be called from any thread, several at once, with three exceptions.
 * One draft is used by one thread at a time. Publishing and object_store_sync_published() belong
 * to one thread at a time, the committer's, and removing with object_store_sync_removed() to one
 * other, the burier's: a sync that failed is reported once, and must reach the one whose objects
 * it was about. (A removal whose fate does not matter may come from any thread: a failure to sync
 * it is then reported to the burier, who tries again.) known() of a sweep is called in the thread
 * of the sweep.
 *
 * All of them may wait for a disk or a network, object_store_draft_fd() and
 * object_store_describe() excepted. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ulid.h"

struct object_store;
struct object_draft;

/* Opens the store at a location, the way the location begins:
 *
 *     /PATH      files /PATH/<5 characters>/<ulid>.age; the folder is made when it is missing (its
 *                parent must exist)
 *     memory:    nothing outlives the process: for tests
 *
 * -EPROTONOSUPPORT: no store is known for such a location. -errno. */
int object_store_open(const char *location, struct object_store **ret_store);

/* Takes NULL; returns NULL. All drafts must have been freed. */
struct object_store *object_store_close(struct object_store *store);

/* An empty draft of an object. -errno. */
int object_store_create(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		struct object_draft **ret_draft);

/* The descriptor to write the draft through, of a regular file, readable and writable, which other
 * processes may be given. It stays the draft's.
 *
 * A process that keeps its copy of the descriptor can still write to the object after it was
 * published. The keeper finds that out only when the object is read: its chunks do not open any
 * more. It cannot forge a recording in this way without the payload key of that recording. */
int object_store_draft_fd(const struct object_draft *draft);

/* Reads the draft at offset as the medium holds it, past every cache of this machine as far as the
 * store can; what was written must have been synced. buffer and offset are multiples of
 * OBJECT_STORE_BLOCK_BYTES, and so is len. Short only at the draft's end. -errno. */
#define OBJECT_STORE_BLOCK_BYTES 4096
int object_store_read_back(struct object_draft *draft, uint64_t offset, void *buffer, size_t len,
		size_t *ret_len);

/* Gives the draft its name, never replacing an object (-EEXIST). The draft's content must be
 * durable already. Durable after object_store_sync_published(). */
int object_store_publish(struct object_draft *draft);

/* Frees the draft, and forgets the object unless it was published. Takes NULL; returns NULL. */
struct object_draft *object_store_draft_free(struct object_draft *draft);

/* Makes every name that was published before the call durable. A failure leaves open which of them
 * are; it covers all that was published since the sync before. */
int object_store_sync_published(struct object_store *store);

/* A read-only descriptor of the whole object, of a regular file; -ENOENT, -RE_CORRUPT (something
 * else has its name), -errno. */
int object_store_open_object(struct object_store *store, const uint8_t ulid[static ULID_BYTES]);

/* Reads up to len bytes of the object at offset, without fetching the rest of it. Short only at its
 * end. -ENOENT, -RE_CORRUPT, -errno. */
int object_store_read(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		uint64_t offset, void *buffer, size_t len, size_t *ret_len);

/* An object that is not there is success. Durable after object_store_sync_removed(). -errno. */
int object_store_remove(struct object_store *store, const uint8_t ulid[static ULID_BYTES]);
int object_store_sync_removed(struct object_store *store);

/* Sets aside objects younger than since_ms (the time in their ids) that nobody knows, and counts
 * them: left by a crash between publish and catalog, or newer than a catalog that was put back.
 * Opening finds one again that somebody knows after all. Removes what a crash left of drafts.
 * known() returns 1, 0 or an error, which ends the sweep; it must not use the store. No draft may
 * be open. */
typedef int (*object_known)(void *context, const uint8_t ulid[static ULID_BYTES]);
int object_store_sweep(struct object_store *store, uint64_t since_ms, object_known known,
		void *context, size_t *ret_set_aside);

/* The greatest epoch ever witnessed here (0: none), and a new one, durable on return: it tells
 * keeper state that was put back from before an erasure. */
int object_store_witness_get(struct object_store *store, uint64_t *ret_epoch);
int object_store_witness_put(struct object_store *store, uint64_t epoch);

/* Room for objects; 0 where the store does not say. */
int object_store_free_bytes(struct object_store *store, uint64_t *ret_free_bytes);

/* The object's path for a person, below the location of the store. */
void object_store_describe(const struct object_store *store, const uint8_t ulid[static ULID_BYTES],
		char *ret_text, size_t len);
