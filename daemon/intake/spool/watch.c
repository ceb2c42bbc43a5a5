#include "daemon/intake/spool/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCH_MASK                                                                                 \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR |   \
			IN_EXCL_UNLINK)
#define READS_PER_TURN 2 /* of 64 KiB: others need the loop as well */

struct watched {
	int descriptor;
	size_t spool;
	uint64_t round;
	struct watched *next;
	char path[];
};

struct watch {
	uv_poll_t poll;
	int fd;
	bool stopped; /* perhaps from within a callback */
	watch_callback callback;
	void *context;
	struct watched **buckets; /* by descriptor: small integers that count up */
	size_t n_buckets, count;
};

static struct watched **watch_find(const struct watch *watch, int descriptor)
{
	struct watched **at = &watch->buckets[(unsigned)descriptor % watch->n_buckets];

	while (*at && (*at)->descriptor != descriptor)
		at = &(*at)->next;
	return at;
}

/* Doubles the table; when there is no memory for that, chains grow longer. */
static void watch_grow(struct watch *watch)
{
	struct watch bigger = {.n_buckets = 2 * watch->n_buckets};

	bigger.buckets = calloc(bigger.n_buckets, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < watch->n_buckets; i++) {
		for (struct watched *w = watch->buckets[i], *next; w; w = next) {
			struct watched **at = watch_find(&bigger, w->descriptor);
			next = w->next;
			w->next = NULL;
			*at = w;
		}
	}
	free(watch->buckets);
	watch->buckets = bigger.buckets;
	watch->n_buckets = bigger.n_buckets;
}

static void watched_free(struct watch *watch, struct watched **at)
{
	struct watched *gone = *at;

	*at = gone->next;
	free(gone);
	watch->count--;
}

int watch_add(struct watch *watch, size_t spool, const char *path, int dir_fd, uint64_t round)
{
	char link[32];
	size_t len = strlen(path);

	/* By descriptor: the name may lead somewhere else by now. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	int descriptor = inotify_add_watch(watch->fd, link, WATCH_MASK);
	if (descriptor < 0)
		return -errno;
	/* The kernel gives an inode one descriptor: a directory that was renamed has its old path
	 * here, which is replaced. */
	struct watched **at = watch_find(watch, descriptor);
	if (*at && (*at)->spool == spool && strcmp((*at)->path, path) == 0) {
		(*at)->round = round;
		return 0;
	}
	if (!*at && watch->count >= WATCHES_MAX) {
		inotify_rm_watch(watch->fd, descriptor);
		return -E2BIG;
	}
	struct watched *w = malloc(sizeof(*w) + len + 1);
	if (!w)
		return -ENOMEM;
	if (*at)
		watched_free(watch, at);
	*w = (struct watched){.descriptor = descriptor, .spool = spool, .round = round};
	memcpy(w->path, path, len + 1);
	if (++watch->count > watch->n_buckets)
		watch_grow(watch);
	at = watch_find(watch, descriptor);
	*at = w;
	return 0;
}

void watch_forget(struct watch *watch, size_t spool, uint64_t round)
{
	for (size_t i = 0; i < watch->n_buckets; i++) {
		for (struct watched **at = &watch->buckets[i]; *at;) {
			if ((*at)->spool == spool && (*at)->round < round) {
				inotify_rm_watch(watch->fd, (*at)->descriptor);
				watched_free(watch, at);
			} else {
				at = &(*at)->next;
			}
		}
	}
}

static bool watched_is_root(const struct watched *watched)
{
	return watched->path[0] == '\0';
}

/* An event about a directory entry, by its path below the spool. */
static void watch_deliver_entry(
		struct watch *watch, const struct watched *in, const struct inotify_event *event)
{
	enum watch_event what = event->mask & IN_ISDIR         ? WATCH_DIRECTORY
				: event->mask & IN_CLOSE_WRITE ? WATCH_CLOSED
				: event->mask & IN_MOVED_TO    ? WATCH_MOVED_IN
							       : WATCH_CREATED;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s%s%s", in->path, watched_is_root(in) ? "" : "/",
			event->name);

	/* A longer path could not be opened either. */
	if (n < (int)sizeof(path))
		watch->callback(watch->context, what, in->spool, path);
}

static void watch_deliver(struct watch *watch, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		watch->callback(watch->context, WATCH_OVERFLOW, 0, "");
		return;
	}
	struct watched **at = watch_find(watch, event->wd);
	if (!*at)
		return;
	/* Copied: IN_IGNORED frees it below. */
	size_t spool = (*at)->spool;
	bool root = watched_is_root(*at);
	if (event->len > 0) {
		watch_deliver_entry(watch, *at, event);
		return;
	}
	if (event->mask & IN_IGNORED)
		watched_free(watch, at);
	if (root)
		watch->callback(watch->context, WATCH_ROOT_GONE, spool, "");
}

static void on_watch_readable(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	_Alignas(struct inotify_event) char buf[65536];

	for (int i = 0; i < READS_PER_TURN && !watch->stopped; i++) {
		ssize_t n = read(watch->fd, buf, sizeof(buf));
		if (n <= 0)
			return;
		for (char *p = buf; p < buf + n && !watch->stopped;) {
			const struct inotify_event *event = (const void *)p;
			watch_deliver(watch, event);
			p += sizeof(*event) + event->len;
		}
	}
}

int watch_start(uv_loop_t *loop, watch_callback callback, void *context, struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int r = -ENOMEM;

	if (!watch)
		return -ENOMEM;
	*watch = (struct watch){.fd = -1, .callback = callback, .context = context};
	watch->n_buckets = 64;
	watch->buckets = calloc(watch->n_buckets, sizeof(*watch->buckets));
	if (!watch->buckets)
		goto fail;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	r = watch->fd < 0 ? -errno : uv_poll_init(loop, &watch->poll, watch->fd);
	if (r < 0)
		goto fail;
	watch->poll.data = watch;
	uv_poll_start(&watch->poll, UV_READABLE, on_watch_readable);
	*ret_watch = watch;
	return 0;
fail:
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch->buckets);
	free(watch);
	return r;
}

size_t watch_count(const struct watch *watch)
{
	return watch->count;
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;

	for (size_t i = 0; i < watch->n_buckets; i++) {
		while (watch->buckets[i])
			watched_free(watch, &watch->buckets[i]);
	}
	close(watch->fd);
	free(watch->buckets);
	free(watch);
}

struct watch *watch_stop(struct watch *watch)
{
	if (!watch)
		return NULL;
	watch->stopped = true;
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
	return NULL;
}
