/* Overwriting a recording before its name is removed (Wipe=yes), so that its audio is not left in
 * free blocks of the spool's disk, or in free pages of memory.
 *
 * That works only where the filesystem writes in place. A copy-on-write filesystem (btrfs, f2fs,
 * zfs, a reflinked file of xfs) writes elsewhere, and a network or FUSE filesystem wherever it
 * likes: there nothing is written, and the outcome says so. It says nothing of the disk itself: flash
 * keeps old blocks, and a journal or a snapshot keeps what went through it. */
#pragma once

#include <stdbool.h>

#include "daemon/intake/source/source.h"

/* Whether a file in this filesystem is overwritten where it lies, as far as its kind tells. */
bool wipe_helps(int fd);

/* Overwrites the file with random bytes, and syncs it. For source_unlink(), when all of its checks
 * have passed and the file has its private name: nothing may stop the removal but a writer.
 *
 * WIPE_DONE, or why not: in each of these cases nothing was written, except with WIPE_FAILED.
 * SOURCE_CHANGED when somebody wants to write to the file, or has changed it. The lease and the
 * descriptor of the source may be others afterwards. Blocks. */
enum wipe_outcome {
	WIPE_NOT_ASKED, /* source->wipe is not set */
	WIPE_DONE = SOURCE_OUTCOMES,
	WIPE_ELSEWHERE, /* it would be written elsewhere */
	WIPE_IN_USE,    /* somebody else has it open for reading */
	WIPE_DENIED,    /* it may not be opened for writing */
	WIPE_FAILED,    /* writing or syncing failed */
	WIPE_OUTCOMES,
};
int wipe_source(struct source *source, const char *name);

/* In words, for the journal: "may not be written to". */
const char *wipe_refusal(int outcome);
