#include "daemon/intake/beside/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/event.h"
#include "daemon/intake/source/beneath.h"

/* Of what cannot be looked at it is not known whether it is there. */
static bool is_marker(int dir_fd, const char *place, bool if_unknown)
{
	_cleanup_close_ int fd =
			dir_fd < 0 ? -EBADF : beneath_open(dir_fd, place, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return if_unknown && fd != -ENOENT && fd != -ENOTDIR && fd != -ENAMETOOLONG;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* How many of a list's markers there can be for this recording, and whether one is there. */
struct found {
	size_t possible;
	bool there;
};

static int find_any(struct spool *spool, int markers_fd, enum profile_list list, const char *path,
		const struct pattern_match *match, struct found *ret_found)
{
	/* A recording is rather left for a while than taken while its bridge writes it. */
	bool if_unknown = list == PROFILE_UNFINISHED;
	struct found found = {0};

	for (size_t i = 0; i < profile_count(spool->profile, list); i++) {
		_cleanup_free_ char *place = NULL;
		bool at_markers;
		int r = profile_locate(spool->profile, list, i, path, match, &place, &at_markers);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		found.possible++;
		int dir_fd = at_markers ? markers_fd : spool->root_fd;
		found.there = found.there || is_marker(dir_fd, place, if_unknown);
	}
	*ret_found = found;
	return 0;
}

static bool has_markers(const struct spool *spool)
{
	return profile_count(spool->profile, PROFILE_FINISHED) +
			       profile_count(spool->profile, PROFILE_UNFINISHED) +
			       profile_count(spool->profile, PROFILE_DISCARD) >
	       0;
}

static int open_markers(struct spool *spool)
{
	const struct event_fields fields = {.spool = spool->config->name};
	const char *path = profile_text_of(spool->profile)->markers;
	int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (path && fd < 0 && trouble_hit(&spool->markers, monotonic_us()) > 0)
		event_log(LOG_ERR, EVENT_SPOOL_TROUBLE, &fields,
				"spool %s: the folder of its markers, %s, cannot be opened: %s",
				spool->config->name, path, error_text(-errno));
	if (fd >= 0)
		trouble_over(&spool->markers);
	return fd;
}

int marks_look(struct spool *spool, const char *path, const struct pattern_match *match)
{
	_cleanup_close_ int markers_fd = -1;
	struct found finished, unfinished, discard;

	if (!has_markers(spool))
		return MARKS_FINISHED;
	markers_fd = open_markers(spool);
	int r = find_any(spool, markers_fd, PROFILE_FINISHED, path, match, &finished);
	if (r == 0)
		r = find_any(spool, markers_fd, PROFILE_UNFINISHED, path, match, &unfinished);
	if (r == 0)
		r = find_any(spool, markers_fd, PROFILE_DISCARD, path, match, &discard);
	if (r < 0)
		return r;
	if (discard.there)
		return MARKS_DISCARDED;
	/* A recording whose name does not say which marker is its own is judged by its writer. */
	return unfinished.there || (finished.possible > 0 && !finished.there) ? MARKS_UNFINISHED
									      : MARKS_FINISHED;
}
