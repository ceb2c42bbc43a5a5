#include "daemon/intake/spool/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/intake/source/aside.h"
#include "daemon/intake/source/beneath.h"

/* One directory of the walk, from the spool's root down to where the walk is. */
struct level {
	DIR *dir;
	bool filled; /* it has an entry */
	bool idle; /* not changed for long: perhaps empty, and then the sink does not hear of it */
	size_t path_len; /* of the directory's own path in scan->path */
};

struct scan {
	struct scan_sink sink;
	bool all; /* also what is passed over */
	struct level levels[SCAN_DEPTH_MAX];
	unsigned depth;
	char path[PATH_MAX];
};

bool scan_takes_directory(const char *name)
{
	return name[0] != '.';
}

static bool name_ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(name + len - suffix_len, suffix) == 0;
}

bool scan_takes_file(const char *name)
{
	return name[0] != '.' && !name_ends_with(name, ".tmp") && !name_ends_with(name, ".part");
}

static bool directory_is_idle(int fd)
{
	struct timespec now;
	struct stat st;

	if (fstat(fd, &st) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return false;
	int64_t age_s = now.tv_sec - st.st_mtim.tv_sec;
	return age_s >= SCAN_IDLE_US / 1000000;
}

/* Takes the descriptor. The directory's path is in scan->path, path_len long. */
static int scan_push(struct scan *scan, int fd, size_t path_len)
{
	DIR *dir = fdopendir(fd);

	if (!dir) {
		int r = -errno;
		close(fd);
		return r;
	}
	/* The spool itself is watched in any case. */
	bool idle = !scan->all && path_len > 0 && directory_is_idle(fd);
	if (!idle && !scan->all)
		scan->sink.directory(scan->sink.context, scan->path, fd);
	scan->levels[scan->depth++] =
			(struct level){.dir = dir, .path_len = path_len, .idle = idle};
	return 0;
}

static int scan_start_walk(int root_fd, const char *below, bool all, const struct scan_sink *sink,
		struct scan **ret_scan)
{
	size_t len = strlen(below);
	struct scan *scan;
	int fd;

	if (len >= sizeof(scan->path))
		return -ENAMETOOLONG;
	fd = beneath_open(root_fd, len ? below : ".", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	scan = calloc(1, sizeof(*scan));
	if (!scan) {
		close(fd);
		return -ENOMEM;
	}
	scan->sink = *sink;
	scan->all = all;
	memcpy(scan->path, below, len + 1);
	int r = scan_push(scan, fd, len);
	if (r < 0) {
		free(scan);
		return r;
	}
	*ret_scan = scan;
	return 0;
}

int scan_start(int root_fd, const char *below, const struct scan_sink *sink, struct scan **ret_scan)
{
	return scan_start_walk(root_fd, below, false, sink, ret_scan);
}

int scan_start_all(int root_fd, const struct scan_sink *sink, struct scan **ret_scan)
{
	return scan_start_walk(root_fd, "", true, sink, ret_scan);
}

/* Makes scan->path the path of an entry of the top directory. False when it does not fit: then it
 * is that of the directory. */
static bool scan_name_entry(struct scan *scan, const char *name, size_t *ret_path_len)
{
	size_t at = scan->levels[scan->depth - 1].path_len, len = strlen(name);

	scan->path[at] = '\0';
	if (at + 1 + len >= sizeof(scan->path))
		return false;
	if (at > 0)
		scan->path[at++] = '/';
	memcpy(scan->path + at, name, len + 1);
	*ret_path_len = at + len;
	return true;
}

static void scan_refuse_entry(
		const struct scan *scan, const struct stat *st, enum source_outcome why)
{
	scan->sink.refused(scan->sink.context, scan->path, st, why);
}

static void scan_leave(const struct scan *scan, const struct stat *st, enum scan_left why)
{
	if (scan->sink.left)
		scan->sink.left(scan->sink.context, scan->path, st, why);
}

static void scan_descend(
		struct scan *scan, const char *name, size_t path_len, const struct stat *st)
{
	int dir_fd = dirfd(scan->levels[scan->depth - 1].dir);

	if (scan->depth == SCAN_DEPTH_MAX) {
		scan_refuse_entry(scan, st, SOURCE_TOO_DEEP);
		return;
	}
	int fd = beneath_open(dir_fd, name, O_RDONLY | O_DIRECTORY);
	if (fd >= 0)
		scan_push(scan, fd, path_len);
	else if (fd == -EACCES || fd == -EPERM)
		scan_refuse_entry(scan, st, SOURCE_UNREADABLE);
	/* Otherwise it is gone, or was replaced by something that a later walk will meet. */
}

static bool name_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Whether the naming rules leave an entry alone. A private name begins with a dot, and is taken all
 * the same, unless it is a directory's. */
static bool entry_is_left(const char *name, bool is_directory)
{
	if (aside_read(name, &(struct aside){0}))
		return is_directory;
	return is_directory ? !scan_takes_directory(name) : !scan_takes_file(name);
}

static void scan_visit_file(struct scan *scan, const struct stat *st)
{
	int outcome = source_classify(st);

	if (outcome == 0)
		scan->sink.file(scan->sink.context, scan->path, st);
	else if (outcome == SOURCE_EMPTY)
		scan_leave(scan, st, SCAN_LEFT_EMPTY);
	else
		scan_refuse_entry(scan, st, (enum source_outcome)outcome);
}

static void scan_visit(struct scan *scan, const struct dirent *entry)
{
	int dir_fd = dirfd(scan->levels[scan->depth - 1].dir);
	const char *name = entry->d_name;
	struct stat st = {.st_ino = entry->d_ino};
	size_t path_len = 0;

	if (name_is_dots(name))
		return;
	scan->levels[scan->depth - 1].filled = true;
	/* Nobody asks about it. */
	if (!scan->all && name[0] == '.' && !scan->sink.left && entry_is_left(name, false))
		return;
	bool fits = scan_name_entry(scan, name, &path_len);
	/* Not opened: a look at a FIFO or a device must not touch it. */
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
		/* The directory may be listed, but not entered. */
		if (errno == EACCES && (scan->all || !entry_is_left(name, false)))
			scan_refuse_entry(scan, &st, SOURCE_UNREADABLE);
		return;
	}
	bool is_directory = S_ISDIR(st.st_mode);
	if (!scan->all && entry_is_left(name, is_directory))
		scan_leave(scan, &st, SCAN_LEFT_NAME);
	else if (!fits)
		scan_refuse_entry(scan, &st, SOURCE_TOO_DEEP);
	else if (is_directory)
		scan_descend(scan, name, path_len, &st);
	else if (scan->all)
		scan->sink.file(scan->sink.context, scan->path, &st);
	else
		scan_visit_file(scan, &st);
}

/* A directory that was thought to be empty has this entry: it is read again from its beginning, now
 * that the sink may watch it. */
static void scan_rouse(struct scan *scan, struct level *top, const struct dirent *entry)
{
	if (name_is_dots(entry->d_name))
		return;
	top->idle = false;
	scan->path[top->path_len] = '\0';
	scan->sink.directory(scan->sink.context, scan->path, dirfd(top->dir));
	rewinddir(top->dir);
}

/* The top directory is read to its end. */
static void scan_ascend(struct scan *scan)
{
	struct level *top = &scan->levels[scan->depth - 1];
	struct stat st;
	bool empty = scan->sink.empty && scan->depth > 1 && !top->filled &&
		     fstat(dirfd(top->dir), &st) == 0;

	scan->path[top->path_len] = '\0';
	closedir(top->dir);
	scan->depth--;
	if (!empty)
		return;
	const char *slash = strrchr(scan->path, '/');
	scan->sink.empty(scan->sink.context, dirfd(scan->levels[scan->depth - 1].dir),
			slash ? slash + 1 : scan->path, &st);
}

int scan_step(struct scan *scan, unsigned entries)
{
	while (scan->depth > 0) {
		if (entries-- == 0)
			return SCAN_MORE;
		struct level *top = &scan->levels[scan->depth - 1];
		const struct dirent *entry = readdir(top->dir);
		if (entry && top->idle) {
			scan_rouse(scan, top, entry);
		} else if (entry) {
			scan_visit(scan, entry);
		} else {
			scan_ascend(scan);
		}
	}
	return 0;
}

struct scan *scan_free(struct scan *scan)
{
	if (!scan)
		return NULL;
	while (scan->depth > 0)
		closedir(scan->levels[--scan->depth].dir);
	free(scan);
	return NULL;
}
