/* One spool: its root, which may come and go; the walk through it; the meaning of its events; and
 * the notices for the operator.
 *
 *     spool.c          the spool as a whole, and its notices
 *     spool_root.c     the root: there or not, the same one as before or not, its free space
 *     spool_first.c    whether the keeper allows to take anything from this folder
 *     spool_folders.c  folders that nothing is left in
 *     spool_scan.c     scans and events: both end as candidates in the queue
 *
 * Invariants:
 *
 *   1. root_fd is open exactly while the configured directory is there and is the one that was
 *      opened: every few seconds the path is resolved again, and device and inode are compared. A
 *      link that is pointed elsewhere is followed only if it belongs to root or to us, and a link
 *      that takes the place of a folder is not.
 *   2. Whatever an event says, a scan finds as well: when an event cannot be followed up (queue
 *      full, directory not watched, too many new directories in one turn), scan_wanted is set or
 *      the next regular scan comes.
 *   3. No candidate is made before the keeper has allowed this very folder (spool_first.c).
 *   4. Nothing here reads, opens or removes a recording. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/reason.h"
#include "daemon/common/profile/profile.h"
#include "daemon/common/watermark.h"
#include "daemon/intake/source/origin.h"
#include "daemon/intake/spool/account_map.h"
#include "daemon/intake/spool/brake.h"
#include "daemon/intake/spool/notice.h"
#include "daemon/intake/spool/outage.h"
#include "daemon/intake/spool/queue.h"
#include "daemon/intake/spool/refusals.h"
#include "daemon/intake/spool/scan.h"
#include "daemon/intake/spool/seen.h"
#include "daemon/intake/spool/stale.h"
#include "daemon/intake/spool/watch.h"

struct config_spool; /* daemon/common/config/config.h */

/* What all spools share; borrowed. */
struct spool_tools {
	const struct clock *clock;
	struct watch *watch;
	struct seen *reported; /* refusals that were reported already */
	struct notice_sink notices;
	int64_t rescan_us;
};

/* What one spool is made from. */
struct spool_setup {
	size_t index;                      /* of the spool, in the configuration */
	const struct config_spool *config; /* borrowed */
	struct profile_text profile;       /* its profile, with the spool's own settings */
	const struct spool_tools *tools;   /* borrowed */
	size_t candidates;                 /* how many the spool remembers: a power of two */
};

struct spool_first_count {
	uint64_t files; /* all, without those that are left alone for their name, and empty ones */
	uint64_t old;   /* of these, from before the folder was opened, as far as known */
	uint64_t recordings, bytes; /* as far as the profile takes them for recordings */
};

struct spool_first {
	uint8_t folder[ORIGIN_HASH_BYTES];
	bool allowed;
	int64_t opened_ns;                   /* by the clock that files are born by */
	bool counted;                        /* a scan has come to its end */
	bool empty;                          /* one has found no file from before opened_ns */
	bool held;                           /* the keeper said no, of what was counted */
	bool ask;                            /* the keeper is to be asked; cleared by who does */
	bool told;                           /* the operator knows that it waits */
	struct spool_first_count now, found; /* of the scan under way; of the last one */
};

struct spool {
	const struct config_spool *config;
	size_t index;
	const struct spool_tools *tools;
	struct profile_text profile_text; /* which `profile` borrows */
	struct profile *profile;
	struct account_map map;

	int root_fd; /* -1: not there */
	uint64_t root_device, root_inode;
	char *real_path;   /* the configured path, resolved */
	bool through_link; /* from the beginning */

	struct spool_first first; /* may it be taken from? */
	struct queue *queue; /* of this spool alone: no spool crowds out another's candidates */
	struct brake brake;

	struct scan *scan; /* under way, or NULL */
	bool scan_wanted;
	bool large_left; /* a large file was left out of the queue, for a scan to find again */
	bool arrival;    /* the event at hand: a file was renamed to its name */
	unsigned subtree_entries; /* that events may still have looked at in this turn */
	uint64_t round;           /* counts scans */
	unsigned unwatched;       /* directories that could not be watched, since the scan began */

	struct refusals refusals;
	struct stale_files stale, ignored;
	unsigned prompts, prompts_met; /* files that the bridge plays: last scan, this one */
	bool prompts_told;
	struct seen *emptied;     /* folders that a recording was removed from (spool_folders.c) */
	unsigned folders_removed; /* by the scan under way */
	bool unleased_reported;

	/* For the report; "": none. Short, because one message carries it for every spool. */
	char last_error[200];
	struct outage missing, watching, sealing, markers, mapping, wiping, emptying;

	struct watermark mark;
	double free_percent; /* of its filesystem, of space or inodes, whichever is scarcer; <0: not
				known */
};

/* -RE_CONFIG for a profile that config_check() would not have let pass; -ENOMEM. For spool_free()
 * either way. */
int spool_init(struct spool *spool, const struct spool_setup *setup, struct reason *reason);

/* Closes everything except the queue, whose candidates may be in jobs. */
void spool_close(struct spool *spool);
void spool_free(struct spool *spool);

/* ---- May it be taken from? (spool_first.c) ---- */

/* The root was opened. -errno. */
int spool_first_begin(struct spool *spool);

void spool_first_begin_scan(struct spool *spool);
/* A scan has met a file, or a folder that it cannot look into. */
void spool_first_meet(struct spool *spool, const char *path, const struct stat *st, bool recording);
void spool_first_end_scan(struct spool *spool);

/* The keeper has answered, of this folder; of another one, it comes too late and says nothing. */
void spool_first_answer(
		struct spool *spool, const uint8_t folder[static ORIGIN_HASH_BYTES], bool may);

/* The spool waits for somebody's word. */
bool spool_first_is_held(const struct spool *spool);

/* The question for the keeper (intake_wire.h). NULL when out of memory. */
json_t *spool_first_question(const struct spool *spool);

/* ---- The root (spool_root.c) ---- */

/* Checks whether the directory is there, and still the same one: opens it, or lets it go, and
 * reports a change. A newly opened one will be scanned. Cheap; called every few seconds. */
void spool_check(struct spool *spool);

/* The root cannot be used, for r: lets it go, and reports the outage. */
void spool_lose_root(struct spool *spool, int r);

/* Looks at the free space of the spool's filesystem; reports a crossed watermark. */
void spool_check_space(struct spool *spool);

/* ---- Scans and events (spool_scan.c) ---- */

/* Whether spool_scan_step() has something to do now. */
bool spool_scanning(const struct spool *spool);

/* One short step of a wanted scan; candidates go to the queue. */
void spool_scan_step(struct spool *spool);

/* A new turn of the loop: events may again have new directories looked into at once. */
void spool_turn(struct spool *spool);

/* How long a file must not have changed. A bridge that writes a file under one name and renames it
 * to another says thereby that the file is finished: such a file waits only for the rest of what
 * the script that moves it does (owner, mode). A file that is renamed while it is open waits for
 * its writer, whose close is an event of its own. An operator who asked for longer than the default
 * gets it. */
int64_t spool_settle_us(const struct config_spool *config, bool arrived);

/* The same for one file: one that its bridge writes again and again during a call (Rewritten=) must
 * have been left alone for much longer. */
int64_t spool_quiet_us(const struct spool *spool, const char *path, bool arrived);

/* A watch_event other than WATCH_OVERFLOW. */
void spool_event(struct spool *spool, enum watch_event event, const char *path);

/* ---- Empty folders (spool_folders.c) ---- */

/* How long a folder must not have changed before it is removed: one that a recording has left; any
 * other. */
#define SPOOL_EMPTIED_US (10 * US_PER_S)
#define SPOOL_EMPTY_US   (600 * US_PER_S)

/* A recording was removed from this open folder; -1: none. */
void spool_folder_emptied(struct spool *spool, int folder_fd);

/* A scan has found no entry in the folder called `name`: with EmptyFolders=remove, removes it if
 * its time has come. */
void spool_folder_empty(
		struct spool *spool, int parent_fd, const char *name, const struct stat *folder);

/* ---- What the operator hears (spool.c) ---- */

/* Posts a notice about this spool. */
void spool_notify(const struct spool *spool, int priority, enum event event, const char *format,
		...) __attribute__((format(printf, 4, 5)));

/* Reports that a file was removed because this recording holds the same bytes. */
void spool_report_already(
		const struct spool *spool, uint64_t inode, uint64_t bytes, const char *recording);

/* Reports a file once, and at most REFUSALS_PER_HOUR files an hour, by its inode, never by its
 * name. `what` says what the file is, or what happened to it ("is a symbolic link"). True when it
 * was news. */
bool spool_report_refusal(struct spool *spool, uint64_t inode, unsigned kind, const char *what);

/* Counts a refused file as well, when it is news. */
void spool_refuse(struct spool *spool, uint64_t inode, enum source_outcome why);

/* The keeper does not want this file as it is: reports it once. */
void spool_refused_by_keeper(struct spool *spool, uint64_t inode, const char *why);

/* A recording is still in progress, because somebody writes to it or (`unfinished`) because its
 * markers say so: reports it once when that has lasted for StaleAfter=. */
void spool_in_progress(struct spool *spool, const struct source *source, bool unfinished);

/* A file is ignored by its name: reports it once when that has lasted for StaleAfter=. */
void spool_ignores(struct spool *spool, const struct source *source);

/* A recording was changed each time while it was being sealed: reports it once. */
void spool_keeps_changing(struct spool *spool, const struct source *source);

/* After a recording was removed: reports one that was to be overwritten, and was not. */
void spool_report_wipe(struct spool *spool, const struct source *source);

/* A recording could not be sealed, and will be tried again; or one was sealed. */
void spool_sealing_failed(struct spool *spool, const char *why);
void spool_sealing_works(struct spool *spool);
