/* One file of a spool, opened so that neither its name nor its kind can do harm.
 *
 * The steps (Postfix, util/safe_open.c, is the model): its directory with openat2() beneath the
 * spool and without symbolic links; the file with O_PATH, which opens nothing; fstat(); only a
 * regular file with exactly one link is then opened, through its own descriptor, and held with a
 * read lease, which cannot be had while anybody has the file open for writing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The facts by which a file is known to be this very one, in this very state. */
struct source_identity {
	uint64_t device, inode, size;
	int64_t mtime_ns, ctime_ns;
};

struct source {
	int fd; /* O_PATH after source_find(), readable after source_claim() */
	int parent_fd;
	char *name; /* in the parent */
	struct source_identity identity;
	bool leased;
	bool yielded; /* the lease was given up to a writer: the file may change any moment */
	bool wipe;    /* overwrite it before it is removed */
	int wiped;    /* a source_wipe_outcome, once that was tried */
};

#define SOURCE_NONE                                                                                \
	{                                                                                          \
		.fd = -1, .parent_fd = -1                                                          \
	}

enum source_outcome {
	SOURCE_GONE = 1,   /* no such file (any more) */
	SOURCE_EMPTY,      /* 0 bytes: waits for its writer */
	SOURCE_WRITER,     /* somebody has it open for writing */
	SOURCE_CHANGED,    /* it was altered or replaced since it was found */
	SOURCE_UNLEASED,   /* open, but it could not be leased */
	SOURCE_SYMLINK,    /* from here on: refused for what it is, left in place */
	SOURCE_HARD_LINK,  /* more than one name: the plaintext would outlive our unlink */
	SOURCE_SPECIAL,    /* FIFO, device, socket */
	SOURCE_UNREADABLE, /* no permission */
	SOURCE_TOO_DEEP,   /* directories nested too deeply, or a path too long */
	SOURCE_OUTCOMES,
};

/* For the refusals, in words: "is a symbolic link". */
const char *source_refusal(enum source_outcome outcome);

void source_identify(const struct stat *st, struct source_identity *ret_identity);
bool source_same(const struct source_identity *a, const struct source_identity *b);

/* The later of mtime and ctime, microseconds: when the file was last changed, as its times say. */
int64_t source_changed_us(const struct source_identity *identity);

/* 0 for a file that may be opened; SOURCE_EMPTY or one of the refusals. */
int source_classify(const struct stat *st);

/* Finds path (relative, below the spool's root) and fills *ret_source, which the caller closes
 * with source_close() after 0 and after every outcome except SOURCE_GONE. 0, SOURCE_GONE,
 * SOURCE_EMPTY, a refusal, or -errno. Never blocks: nothing is opened. */
int source_find(int root_fd, const char *path, struct source *ret_source);

/* Opens the found file for reading and takes the lease. 0; SOURCE_UNLEASED (open all the same);
 * SOURCE_WRITER; SOURCE_CHANGED since it was found; SOURCE_UNREADABLE; or -errno.
 *
 * While the lease is held, another process's open for writing blocks until source_release(), and we
 * get SIGIO. May block for as long as the filesystem does; any thread. */
int source_claim(struct source *source);

/* Whether a lease on this filesystem keeps every writer out: only where this kernel sees every
 * open. */
bool source_leases_are_sound(int fd);

/* Whether somebody wants to write: the lease is being broken, or was lost. */
bool source_wanted(const struct source *source);

/* Gives the lease back, so that others may write. The descriptor stays open. */
void source_release(struct source *source);

/* The same, for a writer who waits: from now on source_unlink() finds the file changed. */
void source_yield(struct source *source);

/* Whether an open descriptor still shows this very state, under one name. May be called from any
 * thread. */
bool source_unchanged(int fd, const struct source_identity *identity);

/* Removes the file if it still is this very file, in this very state, under this name, and (if it
 * was leased) nobody wants to write to it. 0; SOURCE_GONE when the name no longer exists;
 * SOURCE_CHANGED when something differs, and then nothing was removed; or -errno.
 *
 * The file is moved to a private name first (aside.h), checked there and removed under it, so that
 * another file that gets its name at any moment is not removed instead. A filesystem without
 * RENAME_NOREPLACE, or a full one, leaves such a moment between check and removal.
 *
 * The only function that removes a file from a spool. job.h lists its three callers.
 *
 * Not synced: should a power loss bring the name back, the keeper knows the file by its content,
 * since seal_run() has synced what was sealed. */
int source_unlink(struct source *source);

/* 0 when source_unlink() is worth trying: nothing is known that would forbid it. Otherwise why not:
 * -EACCES, -EPERM or -EROFS. */
int source_check_removable(const struct source *source);

/* ---- Overwriting (source_wipe.c) ----
 *
 * With Wipe=yes a recording is overwritten before its name is removed, so that its audio is not
 * left in free blocks of the spool's disk, or in free pages of memory. That works only where the
 * filesystem writes in place. A copy-on-write filesystem (btrfs, f2fs, zfs, a reflinked file of
 * xfs) writes elsewhere, and a network or FUSE filesystem wherever it likes: there nothing is
 * written, and the outcome says so. It does not reach what the disk keeps by itself: flash keeps
 * old blocks, and a journal or a snapshot keeps what went through it. */

/* Whether a file in this filesystem is overwritten where it lies, as far as its kind tells. */
bool source_wipe_helps(int fd);

/* Overwrites the file with random bytes, and syncs it. For source_unlink(), when all of its checks
 * have passed and the file has its private name: nothing may stop the removal except a writer.
 *
 * WIPE_DONE, or why not: in each of these cases nothing was written, except with WIPE_FAILED.
 * SOURCE_CHANGED when somebody wants to write to the file, or has changed it. The lease and the
 * descriptor of the source may be others afterwards. Blocks. */
enum source_wipe_outcome {
	WIPE_NOT_ASKED, /* source->wipe is not set */
	WIPE_DONE = SOURCE_OUTCOMES,
	WIPE_ELSEWHERE, /* it would be written elsewhere */
	WIPE_IN_USE,    /* somebody else has it open for reading */
	WIPE_DENIED,    /* it may not be opened for writing, or not leased */
	WIPE_FAILED,    /* writing or syncing failed */
};
int source_wipe(struct source *source, const char *name);

/* In words, for the journal: "recseald may not write to it". */
const char *source_wipe_refusal(int outcome);

void source_close(struct source *source);
