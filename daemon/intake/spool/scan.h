/* A walk through a spool, in small steps so that the loop is never held up, with memory bounded by
 * the depth and not by the number of files.
 *
 * Names that begin with a dot (files and directories) and files that end in ".tmp" or ".part" are
 * left alone: tools that copy or transcode give such names to unfinished files. Files with a
 * private name (aside.h) are found all the same: a crash of this daemon has left them. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "daemon/intake/source/source.h"

#define SCAN_DEPTH_MAX 32
#define SCAN_IDLE_US   (10 * 60 * INT64_C(1000000))

enum scan_left {
	SCAN_LEFT_NAME,  /* by the naming rules above; nothing below such a folder is looked at */
	SCAN_LEFT_EMPTY, /* 0 bytes: waits for its writer, whose close is an event */
};

struct scan_sink {
	/* A directory, open, before it is read: the sink can watch it, so that no file is missed
	 * that is created in it from now on. path is "" for the spool itself. Not called for a
	 * directory that is empty and has been for SCAN_IDLE_US: to watch hundreds of thousands of
	 * those would take all watches there are. */
	void (*directory)(void *context, const char *path, int fd);
	/* A non-empty regular file with one link. */
	void (*file)(void *context, const char *path, const struct stat *st);
	/* A file or directory that will never be sealed, and why. */
	void (*refused)(void *context, const char *path, const struct stat *st,
			enum source_outcome why);
	/* What is left alone, for its name or because it is empty. May be NULL. */
	void (*left)(void *context, const char *path, const struct stat *st, enum scan_left why);
	/* A directory without any entry, other than the one where the walk began: parent_fd is the
	 * directory it is in. May be NULL. */
	void (*empty)(void *context, int parent_fd, const char *name, const struct stat *st);
	void *context;
};

struct scan;

/* Begins a walk of the directory `below` (relative to root_fd; "" for all of it), which must still
 * exist. The sink is copied; root_fd is not needed afterwards. -errno. */
int scan_start(int root_fd, const char *below, const struct scan_sink *sink,
		struct scan **ret_scan);

/* The same for all of the spool and all that is no folder, whatever its name and kind: `file` gets
 * each, `refused` the folders that cannot be read, and `directory` is not called. */
int scan_start_all(int root_fd, const struct scan_sink *sink, struct scan **ret_scan);

/* Looks at up to `entries` directory entries. 0 when the walk is complete, SCAN_MORE when not. */
enum { SCAN_MORE = 1 };
int scan_step(struct scan *scan, unsigned entries);

struct scan *scan_free(struct scan *scan);

/* The naming rules above, by the last component. */
bool scan_takes_directory(const char *name);
bool scan_takes_file(const char *name);
