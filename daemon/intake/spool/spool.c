#include "daemon/intake/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/monotonic.h"
#include "daemon/common/event.h"
#include "daemon/intake/source/aside.h"

#define ARRIVED_SETTLE_US (100 * INT64_C(1000))
#define SCAN_STEP_ENTRIES 256
#define SUBTREE_ENTRIES   1024 /* of new directories, in a turn; what has more waits for a scan */
#define TELLINGS_PER_HOUR 100

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int spool_init(struct spool *spool, size_t index, const struct config *config,
		const struct spool_tools *tools, size_t candidates)
{
	*spool = (struct spool){.config = &config->spools[index],
			.index = index,
			.tools = tools,
			.root_fd = -1};
	spool->free_percent = -1;
	spool->queue = queue_new(candidates);
	if (!spool->queue)
		return -ENOMEM;
	int r = config_profile_of(config, spool->config, &spool->profile_text);
	if (r < 0)
		return -RE_CONFIG;
	return profile_compile(&spool->profile_text, NULL, &spool->profile);
}

void spool_close(struct spool *spool)
{
	spool->scan = scan_free(spool->scan);
	if (spool->root_fd >= 0)
		close(spool->root_fd);
	spool->root_fd = -1;
}

void spool_free(struct spool *spool)
{
	spool_close(spool);
	spool->queue = queue_free(spool->queue);
	free(spool->real_path);
	spool->real_path = NULL;
	spool->profile = profile_free(spool->profile);
	account_map_clear(&spool->map);
}

/* ---- Telling ---- */

static struct event_fields fields_of(const struct spool *spool)
{
	return (struct event_fields){.spool = spool->config->name};
}

bool spool_tell(struct spool *spool, uint64_t inode, unsigned kind, const char *what)
{
	const struct event_fields fields = fields_of(spool);
	int64_t now_us = monotonic_us();
	uint8_t key[24];

	put_le64(key, spool->index);
	put_le64(key + 8, inode);
	put_le64(key + 16, kind);
	if (inode == 0 || seen_add(spool->tools->told, key, sizeof(key)))
		return false;
	if (now_us - spool->tellings_since_us >= 3600 * US_PER_S) {
		spool->tellings_since_us = now_us;
		spool->tellings = 0;
	}
	if (++spool->tellings > TELLINGS_PER_HOUR)
		return true;
	event_log(LOG_WARNING, EVENT_SPOOL_TROUBLE, &fields,
			"inode %" PRIu64 " %s: left in place, not sealed (find %s -inum %" PRIu64
			")%s",
			inode, what, spool->config->path, inode,
			spool->tellings == TELLINGS_PER_HOUR ? "; no more of these within the hour"
							     : "");
	return true;
}

/* A number of seconds, minutes or hours, for the journal. */
static const char *span_text(int64_t span_us, char text[static 32])
{
	int64_t s = span_us / US_PER_S;

	if (s < 120)
		snprintf(text, 32, "%" PRId64 " s", s);
	else if (s < 7200)
		snprintf(text, 32, "%" PRId64 " min", s / 60);
	else
		snprintf(text, 32, "%" PRId64 " h", s / 3600);
	return text;
}

void spool_in_progress(struct spool *spool, const struct source *source, bool unfinished)
{
	const struct event_fields fields = fields_of(spool);
	int64_t now_us = clock_now_us(spool->tools->clock);
	int64_t since_us = stale_since_us(source, now_us);
	uint64_t inode = source->identity.inode;
	char age[32];

	if (now_us - since_us < spool->config->stale_after_us ||
			!stale_meet(&spool->stale, inode, since_us, spool->round))
		return;
	event_log(LOG_WARNING, EVENT_STALE, &fields,
			"spool %s: inode %" PRIu64
			" was begun %s ago and %s: it lies in plaintext (find "
			"%s -inum %" PRIu64 ")",
			spool->config->name, inode, span_text(now_us - since_us, age),
			unfinished ? "its bridge has not said that it is finished"
				   : "is still open for writing",
			spool->config->path, inode);
}

void spool_refuse(struct spool *spool, uint64_t inode, enum source_outcome why)
{
	/* The scan cannot see what may not be read; it is counted where it is met. */
	if (why == SOURCE_UNREADABLE)
		spool->unreadable++;
	if (spool_tell(spool, inode, why, source_refusal(why)))
		spool->refused++;
}

void spool_trouble(struct spool *spool, const char *why)
{
	const struct event_fields fields = fields_of(spool);
	unsigned count = trouble_hit(&spool->sealing, monotonic_us());

	snprintf(spool->last_error, sizeof(spool->last_error), "%s", why);
	if (count > 0)
		event_log(LOG_ERR, EVENT_SPOOL_TROUBLE, &fields,
				"sealing failed %u time%s: %s; the plaintext is kept and tried again",
				count, count > 1 ? "s" : "", why);
}

void spool_well(struct spool *spool)
{
	const struct event_fields fields = fields_of(spool);

	spool->last_error[0] = '\0';
	if (trouble_over(&spool->sealing))
		event_log(LOG_NOTICE, EVENT_PLAIN, &fields, "spool %s: sealing works again",
				spool->config->name);
}

/* ---- The root ---- */

static void lose_root(struct spool *spool)
{
	if (spool->root_fd < 0)
		return;
	spool_close(spool);
	watch_forget(spool->tools->watch, spool->index, UINT64_MAX);
}

static void root_missing(struct spool *spool, int r)
{
	const struct event_fields fields = fields_of(spool);

	lose_root(spool);
	snprintf(spool->last_error, sizeof(spool->last_error), "the spool cannot be opened: %s",
			error_text(r));
	if (trouble_hit(&spool->missing, monotonic_us()) > 0)
		event_log(LOG_ERR, EVENT_SPOOL_TROUBLE, &fields,
				"spool %s: %s: %s; nothing is sealed from it until it is there",
				spool->config->name, spool->config->path, error_text(r));
}

/* What the path means is settled once. A link that is put in the spool's place later, by whoever
 * may write to the folder above, would have us seal, and remove, files of others. */
static int open_real(struct spool *spool)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

	if (!spool->real_path && !(spool->real_path = realpath(spool->config->path, NULL)))
		return -errno;
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, spool->real_path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static int open_root(struct spool *spool)
{
	int fd = open_real(spool);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	lose_root(spool);
	spool->root_fd = fd;
	spool->root_device = st.st_dev;
	spool->root_inode = st.st_ino;
	spool->scan_wanted = true;
	return 0;
}

void spool_check(struct spool *spool)
{
	struct stat st;
	const char *path = spool->real_path ? spool->real_path : spool->config->path;
	int r = stat(path, &st) < 0 ? -errno : 0;

	if (r == 0 && spool->root_fd >= 0 && st.st_dev == spool->root_device &&
			st.st_ino == spool->root_inode)
		return;
	if (r == 0)
		r = open_root(spool);
	if (r < 0) {
		root_missing(spool, r);
		return;
	}
	spool->last_error[0] = '\0';
	if (trouble_over(&spool->missing))
		event_log(LOG_NOTICE, EVENT_PLAIN, NULL, "spool %s is there", spool->config->name);
}

void spool_check_space(struct spool *spool)
{
	const struct event_fields fields = fields_of(spool);
	const struct config_spool *config = spool->config;
	struct watermark_space space;
	struct statvfs st;

	if (spool->root_fd < 0 || fstatvfs(spool->root_fd, &st) < 0) {
		spool->free_percent = -1;
		return;
	}
	watermark_space(&st, &space);
	spool->free_percent = space.free_percent;
	switch (watermark_update(&spool->mark, config->low_percent, &space)) {
	case WATERMARK_LOW:
		event_log(LOG_WARNING, EVENT_SPOOL_FULL, &fields,
				"spool %s: its filesystem is nearly full: %.1f%% left, below LowSpace=%u%%",
				config->name, space.free_percent, config->low_percent);
		break;
	case WATERMARK_WELL:
		event_log(LOG_NOTICE, EVENT_PLAIN, &fields,
				"spool %s: its filesystem has space again: %.1f%% left",
				config->name, space.free_percent);
		break;
	case WATERMARK_AS_BEFORE:
		break;
	}
}

/* ---- Sightings ---- */

static void sight(struct spool *spool, const struct sighting *sighting)
{
	/* What does not fit is found again by a scan, when there is room. */
	if (queue_add(spool->queue, sighting) != 0)
		spool->scan_wanted = true;
}

static void on_directory(void *context, const char *path, int fd)
{
	struct spool *spool = context;
	const struct event_fields fields = fields_of(spool);
	int r = watch_add(spool->tools->watch, spool->index, path, fd, spool->round);

	spool->unwatched += r < 0;
	if (r < 0 && trouble_hit(&spool->watching, monotonic_us()) > 0)
		event_log(LOG_WARNING, EVENT_SPOOL_TROUBLE, &fields,
				"spool %s: a directory cannot be watched: %s; its files are found every "
				"%" PRId64 " s (raise fs.inotify.max_user_watches)",
				spool->config->name, error_text(r),
				spool->tools->rescan_us / US_PER_S);
}

static void left(struct spool *spool, uint64_t inode, unsigned kind, const char *what)
{
	spool->refused_by_scan++;
	spool_tell(spool, inode, SOURCE_OUTCOMES + kind, what);
}

/* A sidecar goes with its recording, but for one that was late, or changed on the way, or whose
 * removal a crash has cut short, perhaps under a private name. */
static void beside(struct spool *spool, const char *own, bool aside,
		const struct source_identity *identity)
{
	int64_t age_us = clock_now_us(spool->tools->clock) - source_changed_us(identity);

	if (aside || (age_us >= spool->config->stale_after_us &&
				     profile_may_be(spool->profile, PROFILE_SIDECARS, own)))
		left(spool, identity->inode, 3, "went with no recording");
}

static void on_file(void *context, const char *path, const struct stat *st)
{
	struct spool *spool = context;
	struct source_identity identity;
	struct pattern_match match;
	char buf[PATH_MAX];
	const char *own = aside_path(path, buf);
	enum profile_kind kind = profile_classify(spool->profile, own, &match);

	source_identify(st, &identity);
	/* What the profile does not know may be a recording all the same. */
	if (kind == PROFILE_FOREIGN)
		left(spool, st->st_ino, 1, "matches no pattern of its profile");
	if (kind == PROFILE_BESIDE)
		beside(spool, own, own != path, &identity);
	if (kind != PROFILE_RECORDING)
		return;
	sight(spool, &(struct sighting){.spool = spool->index,
				     .path = path,
				     .since_us = source_changed_us(&identity)});
}

static void on_refused_by_scan(void *context, const struct stat *st, enum source_outcome why)
{
	struct spool *spool = context;

	spool->refused_by_scan++;
	spool_tell(spool, st->st_ino, why, source_refusal(why));
}

static void on_refused_in_subtree(void *context, const struct stat *st, enum source_outcome why)
{
	struct spool *spool = context;

	if (spool_tell(spool, st->st_ino, why, source_refusal(why)))
		spool->refused++;
}

/* ---- Scans ---- */

bool spool_scanning(const struct spool *spool)
{
	return spool->root_fd >= 0 && (spool->scan || spool->scan_wanted) &&
	       queue_room(spool->queue) >= SCAN_STEP_ENTRIES;
}

static void begin_scan(struct spool *spool)
{
	const struct scan_sink sink = {on_directory, on_file, on_refused_by_scan, spool};

	spool->scan_wanted = false;
	spool->round++;
	spool->refused_by_scan = 0;
	spool->unwatched = 0;
	int r = scan_start(spool->root_fd, "", &sink, &spool->scan);
	if (r < 0)
		root_missing(spool, r);
}

static void end_scan(struct spool *spool)
{
	spool->scan = scan_free(spool->scan);
	watch_forget(spool->tools->watch, spool->index, spool->round);
	stale_forget(&spool->stale, spool->round > 1 ? spool->round - 1 : 0);
	spool->refused = spool->refused_by_scan + spool->unreadable;
	spool->unreadable = 0;
}

void spool_scan_step(struct spool *spool)
{
	if (!spool->scan)
		begin_scan(spool);
	if (spool->scan && scan_step(spool->scan, SCAN_STEP_ENTRIES) == 0)
		end_scan(spool);
}

void spool_turn(struct spool *spool)
{
	spool->subtree_entries = SUBTREE_ENTRIES;
}

static void scan_subtree(struct spool *spool, const char *path)
{
	const struct scan_sink sink = {on_directory, on_file, on_refused_in_subtree, spool};
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

static void sight_event(struct spool *spool, const char *path)
{
	int64_t now_us = clock_now_us(spool->tools->clock);

	sight(spool, &(struct sighting){.spool = spool->index,
				     .path = path,
				     .due_us = monotonic_us() +
					       spool_settle_us(spool->config, spool->arrival),
				     .since_us = now_us,
				     .event = true,
				     .arrived = spool->arrival});
}

/* Mostly an empty file with a writer, whose close will tell; but links and special files get no
 * such event. */
static void file_created(struct spool *spool, const char *path)
{
	_cleanup_(source_close) struct source source = SOURCE_NONE;
	int r = source_find(spool->root_fd, path, &source);

	/* Two links now may be one in a moment: some tools link the new name, then remove the old.
	 */
	if (r == 0 || r == SOURCE_HARD_LINK)
		sight_event(spool, path);
	else if (r >= SOURCE_SYMLINK)
		spool_refuse(spool, source.identity.inode, (enum source_outcome)r);
}

/* A marker that finishes recordings: those of its folder are looked at again. */
static void finish_event(struct spool *spool, const char *path)
{
	_cleanup_free_ char *folder = strndup(path, (size_t)(last_component(path) - path));

	if (!folder) {
		spool->scan_wanted = true;
		return;
	}
	if (*folder)
		folder[strlen(folder) - 1] = '\0';
	scan_subtree(spool, folder);
}

static void file_event(struct spool *spool, enum watch_event event, const char *path)
{
	struct pattern_match match;
	enum profile_kind kind = profile_classify(spool->profile, path, &match);

	if (kind == PROFILE_BESIDE && profile_may_be(spool->profile, PROFILE_FINISHED, path))
		finish_event(spool, path);
	if (kind != PROFILE_RECORDING)
		return;
	if (event == WATCH_CREATED)
		file_created(spool, path);
	else
		sight_event(spool, path);
}

void spool_event(struct spool *spool, enum watch_event event, const char *path)
{
	const char *name = last_component(path);

	spool->arrival = event == WATCH_MOVED_IN;
	if (event == WATCH_ROOT_GONE) {
		spool_check(spool);
		return;
	}
	if (spool->root_fd < 0)
		return;
	if (event == WATCH_DIRECTORY) {
		if (scan_takes_directory(name))
			scan_subtree(spool, path);
	} else if (scan_takes_file(name)) {
		file_event(spool, event, path);
	}
}
