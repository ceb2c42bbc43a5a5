/* What a kind of store is made of: for those who make one, and for tests that put a fault into it.
 *
 * A new kind (objects in an S3-compatible service, say) promises all that object_store.h says. Its
 * parts in particular:
 *
 * Durability. publish is not durable, sync_published is: when it has returned 0, a power loss of
 *     this machine takes no published object away, neither name nor content. A service that
 *     answers a PUT only when the object is safe does all of it in publish, and nothing in
 *     sync_published. The caller writes its catalog after that, and gives the plaintext up last.
 * Ordering. An object is found by open_object as soon as publish has returned 0, and not before;
 *     it is not found once remove has returned 0. publish fails with -EEXIST rather than replace
 *     (If-None-Match: *).
 * Owning. Once own has returned 0, no process can write to the draft any more, whatever it kept of
 *     the descriptor that it was given; where that cannot be had of the draft, own replaces it by a
 *     copy that was never given away. A store that uploads has read all that it uploads by then.
 * Reading back. read_back shows what the medium holds. Where the draft is staged on this machine
 *     and uploaded by publish, publish has to have the service check a digest of what arrived.
 * Descriptors. The draft's is a regular file's or a memfd's; open_object's is one that can be read
 *     at any offset and handed to another process: a remote store fetches into an unnamed file.
 *     read is for ranges, and fetches those only.
 * Threads. As in object_store.h; a table's functions lock what they share.
 * Failures. Negative, and never half done: the caller may free the draft, or remove once more. */
#pragma once

#include "storage/objects/object_store.h"

struct object_store_ops {
	int (*create)(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
			struct object_draft **ret_draft);
	int (*own)(struct object_draft *draft);
	int (*read_back)(struct object_draft *draft, uint64_t offset, void *buffer, size_t len,
			size_t *ret_len);
	int (*publish)(struct object_draft *draft);
	void (*draft_free)(struct object_draft *draft);
	int (*sync_published)(struct object_store *store);
	int (*open_object)(struct object_store *store, const uint8_t ulid[static ULID_BYTES]);
	int (*read)(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
			uint64_t offset, void *buffer, size_t len, size_t *ret_len);
	int (*remove)(struct object_store *store, const uint8_t ulid[static ULID_BYTES]);
	int (*sync_removed)(struct object_store *store);
	/* Makes a record of the kind's own, whose first member the table fills in. */
	int (*sweep_begin)(struct object_store *store, uint64_t since_ms,
			struct object_sweep **ret_sweep);
	int (*sweep_stride)(struct object_sweep *sweep, size_t max, size_t *set_aside);
	void (*sweep_end)(struct object_sweep *sweep);
	int (*witness_get)(struct object_store *store, uint64_t *ret_epoch);
	int (*witness_put)(struct object_store *store, uint64_t epoch);
	int (*check)(struct object_store *store);
	int (*follow)(struct object_store *store);
	int (*reminder_put)(struct object_store *store, uint64_t epoch,
			const uint8_t tag[static OBJECT_STORE_TAG_BYTES], const void *data,
			size_t len);
	int (*reminder_each)(struct object_store *store, uint64_t epoch, object_reminder visit,
			void *context);
	int (*reminder_expire)(struct object_store *store, uint64_t epoch);
	int (*free_bytes)(struct object_store *store, uint64_t *ret_free_bytes);
	void (*describe)(const struct object_store *store, const uint8_t ulid[static ULID_BYTES],
			char *ret_text, size_t len);
	void (*close)(struct object_store *store);
};

/* All three are the first member of the kind's own records. */
struct object_store {
	const struct object_store_ops *ops;
};

struct object_sweep {
	struct object_store *store;
	uint64_t since_ms;
	object_known known;
	void *context;
};

struct object_draft {
	struct object_store *store;
	int fd;       /* the store's own, which only reads */
	int given_fd; /* the one to write through, for others; -1 once it is not needed */
	uint8_t ulid[ULID_BYTES];
};

/* The kinds; each returns 0 or -errno. */
int object_dir_open(const char *location, struct object_store **ret_store);
int object_memory_open(const char *location, struct object_store **ret_store);
