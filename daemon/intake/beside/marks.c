#include "daemon/intake/beside/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/source/beneath.h"

/* Whether a marker is there; if_unknown when that cannot be found out. */
static bool marker_exists(int dir_fd, const char *path, bool if_unknown)
{
	_cleanup_close_ int fd =
			dir_fd < 0 ? -EBADF : beneath_open(dir_fd, path, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return if_unknown && fd != -ENOENT && fd != -ENOTDIR && fd != -ENAMETOOLONG;
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* What was found of one list of markers. */
struct found {
	size_t possible; /* so many markers of the list can be about this recording */
	bool there;      /* one of them is */
};

static int marks_find(struct spool *spool, int markers_fd, enum profile_list list, const char *path,
		const struct pattern_match *match, struct found *ret_found)
{
	/* When in doubt, a recording is left for a while: better than taking it while its bridge
	 * writes it. */
	bool if_unknown = list == PROFILE_UNFINISHED;
	struct found found = {0};

	for (size_t i = 0; i < profile_count(spool->profile, list); i++) {
		_cleanup_free_ char *marker = NULL;
		bool at_markers;
		int r = profile_locate(spool->profile, list, i, path, match, &marker, &at_markers);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		found.possible++;
		int dir_fd = at_markers ? markers_fd : spool->root_fd;
		found.there = found.there || marker_exists(dir_fd, marker, if_unknown);
	}
	*ret_found = found;
	return 0;
}

static bool marks_configured(const struct spool *spool)
{
	return profile_count(spool->profile, PROFILE_FINISHED) +
			       profile_count(spool->profile, PROFILE_UNFINISHED) +
			       profile_count(spool->profile, PROFILE_DISCARD) >
	       0;
}

static int marks_open_folder(struct spool *spool)
{
	const char *path = profile_text_of(spool->profile)->markers;
	int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (path && fd < 0 && outage_failed(&spool->markers, monotonic_us()) > 0)
		spool_notify(spool, LOG_ERR, EVENT_SPOOL_TROUBLE,
				"spool %s: the folder of its markers, %s, cannot be opened: %s",
				spool->config->name, path, error_text(-errno));
	if (fd >= 0)
		outage_over(&spool->markers);
	return fd;
}

int marks_look(struct spool *spool, const char *path, const struct pattern_match *match)
{
	_cleanup_close_ int markers_fd = -1;
	struct found finished, unfinished, discard;

	if (!marks_configured(spool))
		return MARKS_FINISHED;
	markers_fd = marks_open_folder(spool);
	int r = marks_find(spool, markers_fd, PROFILE_FINISHED, path, match, &finished);
	if (r == 0)
		r = marks_find(spool, markers_fd, PROFILE_UNFINISHED, path, match, &unfinished);
	if (r == 0)
		r = marks_find(spool, markers_fd, PROFILE_DISCARD, path, match, &discard);
	if (r < 0)
		return r;
	if (discard.there)
		return MARKS_DISCARDED;
	/* Where no marker can be about this recording, it is finished once nobody writes to it. */
	return unfinished.there || (finished.possible > 0 && !finished.there) ? MARKS_UNFINISHED
									      : MARKS_FINISHED;
}
