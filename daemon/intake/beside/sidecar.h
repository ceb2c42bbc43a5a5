/* A sidecar: a small file beside a recording that says something about it. Its bytes are sealed
 * with the recording as they are, and it is removed after the recording. Whatever is wrong with a
 * sidecar, it never stops the recording: a sidecar that cannot be taken stays where it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/intake/source/source.h"
#include "daemon/intake/spool/refusals.h"

#define SIDECAR_BYTES_MAX 16384 /* the keeper takes no more: recordings.h */
/* Up to this size it is read all the same, for what it says of the account: the manifest of five
 * hours of HLS segments, the names of some thousand participants. */
#define SIDECAR_READ_MAX (1024 * 1024)

struct sidecar {
	struct source_identity identity; /* when it was read; the file is not kept open */
	uint8_t *bytes;                  /* followed by a NUL */
	size_t len;
	char *path; /* below the spool */
};

enum sidecar_outcome {
	SIDECAR_MISSING = REFUSAL_KINDS,
	SIDECAR_BUSY,  /* empty, being written, or changed within the settle time */
	SIDECAR_LARGE, /* more than SIDECAR_BYTES_MAX, and read: its members count */
	SIDECAR_HUGE,  /* more than SIDECAR_READ_MAX */
};

struct sidecar_about {
	uint64_t inode;   /* 0: there is no file */
	int64_t since_us; /* when it appeared, as far as known: stale_since_us() */
};

/* Reads the file at path below root_fd. 0 or SIDECAR_LARGE with a sidecar for sidecar_clear();
 * another sidecar_outcome or a refusal of source.h; -errno. *ret_about is about the file at that
 * path, even when it is refused. Never blocks. */
int sidecar_read(int root_fd, const char *path, int64_t now_us, int64_t settle_us,
		struct sidecar *ret_sidecar, struct sidecar_about *ret_about);

/* The value of a member: of a JSON object, where the key may go down with dots ("room.name"), or,
 * when the file does not begin with "{", of a "key: value" or "key=value" line. Malloc'd; NULL when
 * there is none, when it is no text or whole number, or when it holds control characters. */
char *sidecar_member(const struct sidecar *sidecar, const char *key, size_t len);

/* Removes the file from below root_fd if it still is the one that was read; with `wipe`, overwrites
 * it before. 0; SOURCE_GONE;
 * SOURCE_CHANGED; -errno. */
int sidecar_remove(int root_fd, const struct sidecar *sidecar, bool wipe);

void sidecar_clear(struct sidecar *sidecar);
