/* How files of a spool become candidates: scans, and the events of the watch.
 *
 *     scan wanted --spool_scan_step: begins--> under way --steps--> complete
 *     event --spool_event--> a candidate, or a walk through a new directory, or a scan wanted
 *
 * Invariants:
 *
 *   1. A scan watches each directory before it reads it, so that a file is found by one or the
 *      other. A directory that could not be watched is found again by the regular scans.
 *   2. One step, and all walks of new directories in one turn of the loop, look at a bounded number
 *      of entries.
 *   3. A scan begins a round. Watches and stale files that no recent round has met are forgotten.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/config/config_spool.h"
#include "daemon/intake/source/aside.h"
#include "daemon/intake/source/beneath.h"
#include "daemon/intake/spool/spool.h"

#define ARRIVED_SETTLE_US (100 * INT64_C(1000))
/* LiveKit writes a playlist again at least once a minute, when the next segment is there. */
#define REWRITTEN_SETTLE_US (90 * US_PER_S)
#define SCAN_STEP_ENTRIES   256
#define SUBTREE_ENTRIES     1024 /* of new directories, in a turn; a scan finds the others */

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- Sightings ---- */

static void sighting_queue(struct spool *spool, const struct sighting *sighting)
{
	if (!spool->first.allowed)
		return;
	/* A file that does not fit is found again by a scan, when there is room. */
	if (queue_add(spool->queue, sighting) != 0)
		spool->scan_wanted = true;
}

static void on_scan_directory(void *context, const char *path, int fd)
{
	struct spool *spool = context;
	int r = watch_add(spool->tools->watch, spool->index, path, fd, spool->round);

	spool->unwatched += r < 0;
	if (r < 0 && outage_failed(&spool->watching, monotonic_us()) > 0)
		spool_notify(spool, LOG_WARNING, EVENT_SPOOL_TROUBLE,
				"spool %s: a directory cannot be watched: %s; its files are found "
				"every %" PRId64 " s (%s)",
				spool->config->name,
				r == -E2BIG ? "too many are watched" : error_text(r),
				spool->tools->rescan_us / US_PER_S,
				r == -E2BIG ? "remove folders that are not used any more, "
					      "or set EmptyFolders=remove"
					    : "raise fs.inotify.max_user_watches");
}

static void scan_refuse(struct spool *spool, uint64_t inode, unsigned kind, const char *what)
{
	spool->refusals.scanned++;
	spool_report_refusal(spool, inode, kind, what);
}

/* A sidecar goes with its recording. It stays behind when it came late, changed on the way, or
 * when a crash has cut its removal short (perhaps under a private name). */
static void scan_meet_beside(struct spool *spool, const char *own, bool aside,
		const struct source_identity *identity)
{
	int64_t age_us = clock_now_us(spool->tools->clock) - source_changed_us(identity);

	if (aside || (age_us >= spool->config->stale_after_us &&
				     profile_may_be(spool->profile, PROFILE_SIDECARS, own)))
		scan_refuse(spool, identity->inode, REFUSAL_ALONE, "went with no recording");
}

/* Whether there is an entry in this folder; it is not entered further. */
static bool folder_has_entries(int root_fd, const char *path)
{
	int fd = beneath_open(root_fd, path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool found = false;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && !found && (entry = readdir(dir)))
		found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return found;
}

/* Left alone by its name: only somebody who hears of it can tell whether audio is left in it. Of
 * whatever kind: it is only asked for its times. */
static void scan_meet_ignored(struct spool *spool, const char *path)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;
	int r = source_find(spool->root_fd, path, &source);

	if (r >= 0 && r != SOURCE_GONE && r != SOURCE_EMPTY)
		spool_ignores(spool, &source);
}

static void on_scan_left(void *context, const char *path, const struct stat *st, enum scan_left why)
{
	const struct spool *spool = context;
	bool holds = S_ISREG(st->st_mode)   ? st->st_size > 0
		     : S_ISDIR(st->st_mode) ? folder_has_entries(spool->root_fd, path)
					    : false;

	if (why == SCAN_LEFT_NAME && holds)
		scan_meet_ignored(context, path);
}

static void on_scan_empty(void *context, int parent_fd, const char *name, const struct stat *st)
{
	const struct spool *spool = context;

	if (spool->first.allowed)
		spool_folder_empty(context, parent_fd, name, st);
}

/* What the profile takes the file for. */
static enum profile_kind scan_meet_file(
		struct spool *spool, const char *path, const struct stat *st)
{
	struct source_identity identity;
	struct pattern_match match;
	char buf[PATH_MAX];
	const char *own = aside_path(path, buf);
	enum profile_kind kind = profile_classify(spool->profile, own, &match);

	source_identify(st, &identity);
	/* A file that the profile does not know may be a recording all the same. */
	if (kind == PROFILE_FOREIGN)
		scan_refuse(spool, st->st_ino, REFUSAL_FOREIGN,
				"matches no pattern of its profile");
	/* Before its first start a spool has sidecars whose recordings still wait. */
	if (kind == PROFILE_BESIDE && spool->first.allowed)
		scan_meet_beside(spool, own, own != path, &identity);
	if (kind == PROFILE_BESIDE && profile_is_ignored(spool->profile, own) &&
			!profile_may_be(spool->profile, PROFILE_SIDECARS, own))
		scan_meet_ignored(spool, path);
	spool->prompts_met += kind == PROFILE_PROMPT;
	if (kind == PROFILE_RECORDING)
		sighting_queue(spool, &(struct sighting){.spool = spool->index,
						      .path = path,
						      .since_us = source_changed_us(&identity)});
	return kind;
}

static void on_scan_file(void *context, const char *path, const struct stat *st)
{
	enum profile_kind kind = scan_meet_file(context, path, st);

	spool_first_meet(context, path, st, kind == PROFILE_RECORDING);
}

/* In a new directory, between two scans: the counts of the last scan stay. */
static void on_subtree_file(void *context, const char *path, const struct stat *st)
{
	(void)scan_meet_file(context, path, st);
}

static void on_scan_refused(
		void *context, const char *path, const struct stat *st, enum source_outcome why)
{
	scan_refuse(context, st->st_ino, why, source_refusal(why));
	spool_first_meet(context, path, st, false);
}

/* In a new directory, between two scans: the count of the last scan goes up. */
static void on_subtree_refused(
		void *context, const char *path, const struct stat *st, enum source_outcome why)
{
	struct spool *spool = context;

	if (spool_report_refusal(spool, st->st_ino, why, source_refusal(why)))
		spool->refusals.count++;
}

/* ---- Scans ---- */

bool spool_scanning(const struct spool *spool)
{
	return spool->root_fd >= 0 && (spool->scan || spool->scan_wanted) &&
	       queue_room(spool->queue) >= SCAN_STEP_ENTRIES;
}

static void spool_begin_scan(struct spool *spool)
{
	const struct scan_sink sink = {.directory = on_scan_directory,
			.file = on_scan_file,
			.refused = on_scan_refused,
			.left = on_scan_left,
			.empty = on_scan_empty,
			.context = spool};

	spool->scan_wanted = false;
	spool->round++;
	spool->prompts_met = 0;
	spool->folders_removed = 0;
	spool->unwatched = 0;
	refusals_begin_scan(&spool->refusals);
	spool_first_begin_scan(spool);
	int r = scan_start(spool->root_fd, "", &sink, &spool->scan);
	if (r < 0)
		spool_lose_root(spool, r);
}

/* Told once: an operator who expects recordings among them learns where they are. */
static void scan_tell_prompts(struct spool *spool)
{
	spool->prompts = spool->prompts_met;
	if (spool->prompts == 0 || spool->prompts_told)
		return;
	spool->prompts_told = true;
	spool_notify(spool, LOG_NOTICE, EVENT_PLAIN,
			"spool %s: %u file%s beside the recordings (greetings, announcements, "
			"music) %s what the bridge plays, and left alone",
			spool->config->name, spool->prompts, spool->prompts > 1 ? "s" : "",
			spool->prompts > 1 ? "are" : "is");
}

static void spool_end_scan(struct spool *spool)
{
	spool->scan = scan_free(spool->scan);
	/* A complete round has met all directories that are in the spool. */
	watch_forget(spool->tools->watch, spool->index, spool->round);
	/* A stale file is met when it is looked at, which may be after the scan that found it: the
	 * round before counts as well. */
	stale_forget(&spool->ignored, spool->round);
	stale_forget(&spool->stale, spool->round > 1 ? spool->round - 1 : 0);
	refusals_end_scan(&spool->refusals);
	scan_tell_prompts(spool);
	if (spool->folders_removed > 0)
		spool_notify(spool, LOG_INFO, EVENT_PLAIN,
				"spool %s: %u empty folder%s removed (EmptyFolders=remove)",
				spool->config->name, spool->folders_removed,
				spool->folders_removed > 1 ? "s were" : " was");
	spool_first_end_scan(spool);
}

void spool_scan_step(struct spool *spool)
{
	if (!spool->scan)
		spool_begin_scan(spool);
	if (spool->scan && scan_step(spool->scan, SCAN_STEP_ENTRIES) == 0)
		spool_end_scan(spool);
}

void spool_turn(struct spool *spool)
{
	/* Not before the large ones in the queue are done: each scan would only find the same. */
	if (spool->large_left && !queue_has_deferred(spool->queue)) {
		spool->large_left = false;
		spool->scan_wanted = true;
	}
	spool->subtree_entries = SUBTREE_ENTRIES;
}

static void spool_scan_subtree(struct spool *spool, const char *path)
{
	const struct scan_sink sink = {.directory = on_scan_directory,
			.file = on_subtree_file,
			.refused = on_subtree_refused,
			.context = spool};
	struct scan *scan;

	if (spool->subtree_entries == 0) {
		spool->scan_wanted = true;
		return;
	}
	if (scan_start(spool->root_fd, path, &sink, &scan) < 0)
		return; /* gone again */
	while (spool->subtree_entries > 0) {
		spool->subtree_entries--;
		if (scan_step(scan, 1) != SCAN_MORE)
			break;
	}
	/* Perhaps not complete: thousands of files at once must not hold the loop up. */
	if (spool->subtree_entries == 0)
		spool->scan_wanted = true;
	scan_free(scan);
}

/* ---- Events ---- */

int64_t spool_settle_us(const struct config_spool *config, bool arrived)
{
	bool longer_wanted = config->settle_us > CONFIG_SETTLE_US;

	return arrived && !longer_wanted && config->settle_us > ARRIVED_SETTLE_US
			       ? ARRIVED_SETTLE_US
			       : config->settle_us;
}

int64_t spool_quiet_us(const struct spool *spool, const char *path, bool arrived)
{
	int64_t settle_us = spool_settle_us(spool->config, arrived);

	return settle_us < REWRITTEN_SETTLE_US && profile_is_rewritten(spool->profile, path)
			       ? REWRITTEN_SETTLE_US
			       : settle_us;
}

static void event_sight(struct spool *spool, const char *path)
{
	int64_t now_us = clock_now_us(spool->tools->clock);

	sighting_queue(spool, &(struct sighting){.spool = spool->index,
					      .path = path,
					      .due_us = monotonic_us() +
							spool_quiet_us(spool, path, spool->arrival),
					      .since_us = now_us,
					      .event = true,
					      .arrived = spool->arrival});
}

/* Mostly an empty file with a writer, whose close is an event of its own; but links and special
 * files get no such event. */
static void event_created(struct spool *spool, const char *path)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;
	int r = source_find(spool->root_fd, path, &source);

	/* Two links now may be one in a moment: some tools link the new name, then remove the old.
	 */
	if (r == 0 || r == SOURCE_HARD_LINK)
		event_sight(spool, path);
	else if (r >= SOURCE_SYMLINK)
		spool_refuse(spool, source.identity.inode, (enum source_outcome)r);
}

/* A marker that finishes recordings: those in its folder are looked at again. */
static void event_finish(struct spool *spool, const char *path)
{
	_cleanup_free_ char *folder = strndup(path, (size_t)(last_component(path) - path));

	if (!folder) {
		spool->scan_wanted = true;
		return;
	}
	if (*folder)
		folder[strlen(folder) - 1] = '\0';
	spool_scan_subtree(spool, folder);
}

static void event_file(struct spool *spool, enum watch_event event, const char *path)
{
	struct pattern_match match;
	enum profile_kind kind = profile_classify(spool->profile, path, &match);

	if (kind == PROFILE_BESIDE && profile_may_be(spool->profile, PROFILE_FINISHED, path))
		event_finish(spool, path);
	if (kind != PROFILE_RECORDING)
		return;
	if (event == WATCH_CREATED)
		event_created(spool, path);
	else
		event_sight(spool, path);
}

void spool_event(struct spool *spool, enum watch_event event, const char *path)
{
	const char *name = last_component(path);

	spool->arrival = event == WATCH_MOVED_IN;
	if (event == WATCH_ROOT_GONE) {
		spool_check(spool);
		return;
	}
	/* Left over in the kernel's queue from a root that is gone. */
	if (spool->root_fd < 0)
		return;
	if (event == WATCH_DIRECTORY) {
		if (scan_takes_directory(name))
			spool_scan_subtree(spool, path);
	} else if (scan_takes_file(name)) {
		event_file(spool, event, path);
	}
}
