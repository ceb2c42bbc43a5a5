/* Directory events, from an inotify descriptor of our own: libuv's uv_fs_event neither asks for
 * IN_CLOSE_WRITE nor reports a queue overflow. Events are hints: the scan finds what they miss. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum watch_event {
	WATCH_CREATED,   /* a file appeared; its writer has it open, or it is a link, or special */
	WATCH_CLOSED,    /* a writer closed a file */
	WATCH_MOVED_IN,  /* a file got this name */
	WATCH_DIRECTORY, /* a directory appeared */
	WATCH_ROOT_GONE, /* the spool itself was renamed, unmounted, or removed (this event comes
			    late, when nobody has it open any more); path is "" */
	WATCH_OVERFLOW,  /* the kernel dropped events; spool and path mean nothing */
};

typedef void (*watch_callback)(
		void *context, enum watch_event event, size_t spool, const char *path);

struct watch;

/* -errno: -EMFILE when fs.inotify.max_user_instances is reached. */
int watch_start(uv_loop_t *loop, watch_callback callback, void *context, struct watch **ret_watch);

/* Watches an open directory of a spool; path is its path below the spool, "" for the spool itself.
 * A directory that is watched already gets this path and round. 0; -E2BIG when WATCHES_MAX are
 * watched; -ENOSPC when fs.inotify.max_user_watches is reached; -errno. */
#define WATCHES_MAX 8192 /* each takes about 1 KiB of the kernel's memory */
int watch_add(struct watch *watch, size_t spool, const char *path, int dir_fd, uint64_t round);

/* Forgets the directories of a spool that were last added in an earlier round: they were moved out
 * of the spool. UINT64_MAX forgets all. */
void watch_forget(struct watch *watch, size_t spool, uint64_t round);

/* How many directories are watched, of all spools. */
size_t watch_count(const struct watch *watch);

/* Closes the handle on the loop; memory is freed when the loop has run on. Takes NULL; returns
 * NULL. */
struct watch *watch_stop(struct watch *watch);
