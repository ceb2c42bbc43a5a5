/* One spool: its root, which may come and go; the walk through it; what its events mean; and what
 * is told about it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "daemon/common/config/config.h"
#include "daemon/common/profile/profile.h"
#include "daemon/common/watermark.h"
#include "daemon/intake/spool/account_map.h"
#include "daemon/intake/spool/brake.h"
#include "daemon/intake/spool/queue.h"
#include "daemon/intake/spool/scan.h"
#include "daemon/intake/spool/seen.h"
#include "daemon/intake/spool/stale.h"
#include "daemon/intake/spool/trouble.h"
#include "daemon/intake/spool/watch.h"

/* What all spools share; borrowed. */
struct spool_tools {
	const struct clock *clock;
	struct watch *watch;
	struct seen *told; /* refusals that are in the journal already */
	int64_t rescan_us;
};

struct spool {
	const struct config_spool *config;
	size_t index;
	const struct spool_tools *tools;
	struct profile_text profile_text; /* with the spool's own settings */
	struct profile *profile;
	struct account_map map;

	int root_fd; /* -1: not there */
	uint64_t root_device, root_inode;
	char *real_path; /* what the configured path meant when it was first there */

	struct queue *queue; /* the candidates of this spool alone: none crowds out another's */
	struct brake brake;

	struct scan *scan;
	bool scan_wanted;
	bool arrival;             /* the event at hand: a file was renamed to its name */
	unsigned subtree_entries; /* that events may still have looked at in this turn */
	uint64_t round;           /* counts scans */

	unsigned refused; /* how many files there are that will not be sealed, as far as known */
	unsigned refused_by_scan, unreadable; /* counted for the next figure */
	unsigned tellings;                    /* of refusals, in this hour */
	int64_t tellings_since_us;
	bool told_unleased;
	unsigned unwatched;   /* directories that could not be watched; counted anew by each scan */
	char last_error[200]; /* "": none */
	struct trouble missing, watching, sealing, markers, mapping;
	struct stale_files stale;

	struct watermark mark;
	double free_percent; /* of its filesystem, of what is scarcer; <0: not known */
};

/* candidates, a power of two, is how many it remembers. -RE_CONFIG for a profile that
 * config_check() would not have let pass; -ENOMEM. For spool_free() either way. */
int spool_init(struct spool *spool, size_t index, const struct config *config,
		const struct spool_tools *tools, size_t candidates);

/* Closes all but the queue, whose candidates may be in jobs. */
void spool_close(struct spool *spool);
void spool_free(struct spool *spool);

/* Whether the directory is there, and still the same one: opens it, or lets it go, and tells. A
 * newly opened one will be scanned. Cheap; called every few seconds. */
void spool_check(struct spool *spool);

/* Looks at the free space of the spool's filesystem; tells when the watermark is crossed. */
void spool_check_space(struct spool *spool);

/* Whether spool_scan_step() has something to do now. */
bool spool_scanning(const struct spool *spool);

/* One short step of a wanted scan; candidates go to the queue. */
void spool_scan_step(struct spool *spool);

/* A new turn of the loop: events may again have new directories looked into at once. */
void spool_turn(struct spool *spool);

/* How long a file must not have changed. A bridge that writes a file under one name and renames it
 * to another says thereby that it is finished: such a one needs to wait only for the rest of what
 * the script that moves it does (owner, mode). One that is renamed while it is open waits for its
 * writer, whose close is an event of its own; an operator who asked for longer than the default
 * gets it. */
int64_t spool_settle_us(const struct config_spool *config, bool arrived);

/* A watch_event other than WATCH_OVERFLOW. */
void spool_event(struct spool *spool, enum watch_event event, const char *path);

/* Counts a file that is refused, and tells of it once. */
void spool_refuse(struct spool *spool, uint64_t inode, enum source_outcome why);

/* Tells once, and at most so often an hour, about one inode: what it is (or what happened to it),
 * never its name. True when it was news. */
bool spool_tell(struct spool *spool, uint64_t inode, unsigned kind, const char *what);

/* A recording that is still in progress, because somebody writes to it or (`unfinished`) because
 * its markers say so: tells once when that has lasted for StaleAfter=. */
void spool_in_progress(struct spool *spool, const struct source *source, bool unfinished);

/* A recording could not be sealed, and will be tried again; or one was sealed. */
void spool_trouble(struct spool *spool, const char *why);
void spool_well(struct spool *spool);
