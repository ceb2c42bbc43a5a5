/* Where sealed objects are: a small table of functions, local files being the first implementation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/durable.h"
#include "base/ulid.h"

struct object_store;

/* An object being written. */
struct object_draft {
	uint8_t ulid[ULID_BYTES];
	int fd; /* readable and writable; -1 when done with */
	int dir_fd;
	char temporary[DURABLE_TEMPORARY_BYTES];
};

struct object_store_ops {
	/* An unnamed, empty object. -errno. */
	int (*create)(struct object_store *store, const uint8_t ulid[static ULID_BYTES],
			struct object_draft *ret_draft);
	/* Gives the draft its name. The name is durable after sync(). */
	int (*publish)(struct object_store *store, struct object_draft *draft);
	/* Makes every name published, and every removal, so far durable. */
	int (*sync)(struct object_store *store);
	/* Read-only descriptor; -ENOENT. */
	int (*open)(struct object_store *store, const uint8_t ulid[static ULID_BYTES]);
	int (*remove)(struct object_store *store, const uint8_t ulid[static ULID_BYTES]);
	/* Sets aside objects younger than since_ms (the time in their ids) that nobody knows, and
	 * counts them: left by a crash between publish and catalog, or newer than a catalog that
	 * was put back. open() finds one again that somebody knows after all. known() returns 1, 0
	 * or an error. */
	int (*sweep)(struct object_store *store, uint64_t since_ms,
			int (*known)(void *context, const uint8_t ulid[static ULID_BYTES]),
			void *context, size_t *ret_set_aside);
	/* The greatest epoch ever witnessed here (0: none), and a new one, durable on return: what
	 * tells a keeper state that was put back from before an erasure. */
	int (*witness_get)(struct object_store *store, uint64_t *ret_epoch);
	int (*witness_put)(struct object_store *store, uint64_t epoch);
	int (*free_bytes)(struct object_store *store, uint64_t *ret_free_bytes);
	/* The object's place for a person: a path below the store. */
	void (*describe)(const uint8_t ulid[static ULID_BYTES], char *ret_text, size_t len);
	void (*close)(struct object_store *store);
};

struct object_store {
	const struct object_store_ops *ops;
};

/* Closes what the draft holds, and forgets the object unless it was published. */
void object_draft_close(struct object_draft *draft);

/* Files DIR/<5 characters>/<ulid>.age; the directory changes every nine hours or so, so that a
 * batch of recordings shares one directory sync. Made when missing (its parent must exist). */
int object_store_dir_open(const char *path, struct object_store **ret_store);
